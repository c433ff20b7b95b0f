"""Polish."""

from preference_center.inbound.rules.objections.language import ObjectionLanguage

POLISH = ObjectionLanguage(
    code="pl",
    placeholders={
        "me": "mnie|nas|{address}",
        "address": "(moj|moja|ten|tego|mojego|nasz|naszego) (adres|adresu|e ?mail|email|maila|mail|e ?maila|emaila|kontakt|kontaktu|skrzynke|skrzynki)( (e ?mail|mailowy|mailowego|email|poczty))?|moje (dane kontaktowe|nazwisko|imie)|myaddress|swoj adres",
        "mails": "maili|maile|mailow|e ?maili|e ?maile|emaili|emaile|wiadomosci|newsletter(a|ow|y|em|ze|owi)?|reklam[a-z]*|ofert[a-z]*|informacji( (handlow|marketingow|reklamow|promocyjn)[a-z]+)?|informacje( (handlow|marketingow|reklamow)[a-z]+)?"
        "|spamu?|spamem|mailami|reklamami|korespondencji|promocji|promocje|biuletyn[a-z]*|mailing[a-z]*|tresci|niczego|nic|materialow|marketing[a-z]*|powiadomien|powiadomienia|przesylek|komunikatow|korespondencje|smieci|subskrypcj[a-z]+",
        "list": "list[a-z]*|baz[aye]?|newsletter[a-z]*|mailing[a-z]*|subskrypcj[a-z]+|subskrybentow|systemu|odbiorcow|kontaktow|bazie|{mails}",
        "now": "( prosze| natychmiast| dziekuje| jak najszybciej| niezwlocznie| pilnie| dzieki| pozdrawiam| od zaraz)*",
        "any": "( juz| wiecej| od| z| ze| do| na| waszych| wasze| waszego| panstwa| tych| te| tego| tej| ten| zadnych| zadne| dalszych| kolejnych| innych| takich| takiego| wszystkich| tej| nowych| niechcianych| jakichkolwiek| ani| nam| mi| mnie| typu| podobnych| was| mailowych| e ?mail| handlowych| reklamowych)*",
        "want": "(chce|chcialbym|chcialabym|chcemy|zycze sobie|pragne|zamierzam|chcialem|chcialam|mam zamiar|wole|wolalbym|wolalabym)",
        "imp": "(wypisz|wypiszcie|wypisac|usun|usuncie|usunac|skresl|skreslcie|wykresl|wykreslcie|wykreslic|skreslic|wyrejestruj|wyrejestrujcie|wyrejestrowac|wyrzuccie|wyrzucic|wymazcie|wymazac|wycofac|wycofajcie|usuniecie|wypisanie|wykreslenie|wyrejestrowanie|wyrzuc|odpisz|odpiszcie)",
        "send": "(wysylac|wysylajcie|wysylaj|przysylac|przysylajcie|przysylaj|przesylac|przesylajcie|przesylaj|slac|wysylania|przesylania|przysylania|wyslac|wysylali|przysylali|nadsylac)",
        "contact": "(kontaktowac|kontaktujcie|pisac|piszcie|pisz|niepokoic|niepokojcie|nekac|nekajcie|spamowac|spamujcie|kontaktowania|pisania|meczyc|zawracac|zasypywac|bombardowac|nekania|spamowania)",
        "purpose": "(marketing[a-z]*|reklam[a-z]*|promocyjn[a-z]*|handlow[a-z]*|profilowani[a-z]*|moich danych|danych osobowych|newsletter[a-z]*|przetwarzani[a-z]*|wykorzystywani[a-z]*|informacji)",
        "consent": "(zgode|zgody|zgoda|zgodzie|pozwolenie|pozwolenia)",
    },
    objection_phrases="""
        (prosze|prosimy) o (natychmiastowe |niezwloczne )?(wypisanie|usuniecie|wykreslenie|wyrejestrowanie)( {me})?$
        (rezygnuje|rezygnujemy|rezygnacja)( juz)? z (otrzymywania|dalszego otrzymywania|subskrypcji|prenumeraty|dalszych)
        (prosze|prosimy|zadam)~ o? ?(niewysylanie|nieprzysylanie|nieprzesylanie|niekontaktowanie)
        (prosze|zadam|zadamy|domagam sie|oczekuje)~ (usuniecia|wypisania|wykreslenia|usuniecie)~~ (listy|bazy|newslettera|subskrypcji|mailingu)
        (nie|prosze)~ wiecej nie {contact}
        (skonczcie|koniec|przestancie)~ (z tym|z tymi|z) {mails}
        (usuncie|usun|wypiszcie|wypisz|wykreslcie)( prosze)? (mojego|moj|moja|moje) (maila|e ?maila|adres|e ?mail|dane)~ (z|ze)~ {list}
        {imp} {me}(~ (z|ze|od|spod)~ {list}|{now}$)
        {me}~ (wypisac|usunac|wykreslic|skreslic|wyrejestrowac|wyrzucic|wypiszcie|usuncie|wypisz|usun|wykreslcie|wypisanie|usuniecie)(~ (z|ze|od)~ {list}|{now}$)
        (prosze|prosimy|prosilbym|prosilabym|prosic|uprzejmie|zadam|wnosze|wnioskuje|domagam sie)~ (wypisanie|usuniecie|wykreslenie|wyrejestrowanie|skreslenie|anulowanie)~ ({me}|mojego adresu|z~ {list}|subskrypcji|newslettera)
        {want}( juz)? (sie |zostac )?(wypisac|wypisany|wypisana|usuniety|usunieta|wyrejestrowac|zrezygnowac|wykreslony|wykreslona|zrezygnowac z|skreslony)( sie)?(~ (z|ze)~ {list}|{now}$)
        (rezygnuje|rezygnujemy|zrezygnowac|rezygnacja|rezygnacje) (juz )?z{any} {list}
        {want}~ (zrezygnowac|wypisac|anulowac|zakonczyc|przestac otrzymywac)~ (newsletter[a-z]*|subskrypcj[a-z]+|mailing[a-z]*)
        (anuluj|anulujcie|anulowac|anuluje|prosze anulowac|wypowiadam|zakonczcie|zakonczyc)( moj[aei]*)?( prenumerate)? (subskrypcje|subskrypcji|newsletter|newslettera|mailing)
        nie {want}( juz| wiecej| dluzej| wcale| absolutnie| w ogole| sobie)*( od was| od panstwa)? (otrzymywac|dostawac|otrzymac|dostac|miec|czytac|otrzymywania|dostawania|byc na|widziec|byc informowany|byc informowana|zadnych|wiecej|{mails})
        nie {want}( juz| wiecej| sobie)*{any} ({mails}|waszych|kontaktu|aby|zeby|byscie)
        nie (potrzebuje|potrzebujemy)( juz| wiecej)*{any} {mails}
        nie zycz[a-z]+ sobie( juz| wiecej| dalszego| zadnych| dalszych| zadnej| otrzymywania| przesylania| dostawania| abyscie)*{any}~ ({mails}|kontaktu|przesylania|otrzymywania|kontaktowali)
        {want} przestac (otrzymywac|dostawac)
        {want} nie (otrzymywac|dostawac)
        nie {send}( mi| do mnie| nam| prosze| mnie)*( juz| wiecej)*{any}( {mails}| na~ adres|{now}$)
        (prosze|prosimy|blagam)( juz| wiecej)? (mi |do mnie |mnie |nam |juz |sie |ze mna )*nie ({send}|{contact})
        nie {contact}( do mnie| sie ze mna| ze mna| mnie| nam| sie| do nas| mi)( wiecej| juz| nigdy)*
        (prosze|prosimy|zadam|przestancie|przestan|przestac|przestali|zaprzestancie|zaprzestac|zaprzestanie|zaprzestania|skonczcie|koniec|stop|wstrzymac|wstrzymajcie|wstrzymanie)( o| juz| natychmiast| mi| z| do mnie| mnie| prosze| zaprzestanie| zaprzestania)* ({send}|wysylki|wysylke|wysylania|przesylania|{contact})
        (przestancie|przestan|skonczcie)( juz| mi| mnie)* ({send}|{contact}|zasmiecac|z tymi {mails}|z {mails})
        (wnosze|skladam|zglaszam|wyrazam|sprzeciw|wnosimy|zlozyc|wniesc|zglosic)~ (sprzeciw)~~ ({purpose}|wobec)
        sprzeciw~ (wobec|na|przeciw|przeciwko|dotyczacy|co do)~~ {purpose}
        (sprzeciwiam|sprzeciwiamy|sprzeciwic) sie~~ {purpose}
        (korzystam|skorzystac)~ prawa (do|wniesienia) sprzeciwu
        (wycofuje|wycofujemy|cofam|cofamy|odwoluje|wycofac|cofnac|odwolac|wycofuje niniejszym|wypowiadam|odwolujemy)( niniejszym| moja| swoja| wszystkie| wszelkie| udzielona| wczesniejsza| nasza| wszystkich| moje| natychmiast)* {consent}
        {consent}~~ (wycofuje|cofam|odwoluje|wycofana|cofnieta)
        nie (wyrazam|udzielam|mam|wyrazalem|wyrazalam|daje|wyrazamy)( juz| swojej)? (zgody|zgode)~~ ({purpose}|otrzymywanie|{mails}|wysylanie|przesylanie)
        nie (zezwalam|zezwalamy|pozwalam)( na)?~~ ({purpose}|{mails})
        nie (zgadzam sie|godze sie|wyrazam checi)~~ ({purpose}|{mails}|otrzymywanie|otrzymywania)
        nie (przetwarzajcie|przetwarzac|wykorzystujcie|wykorzystywac|uzywajcie|uzywac)~~ {purpose}
        (zabraniam|zakazuje|nie pozwalam)~~ ({purpose}|{send}|wysylania|przesylania|{mails}|kontaktowania)
        nie (jestem|jestesmy) (juz )?zainteresowan[a-z]+ (otrzymywaniem|dalszym otrzymywaniem|newsletterem|waszymi {mails}|{mails})
        (dajcie|daj) mi (juz )?(swiety )?spokoj
    """,
    standalone_objection_phrases="""
        (stop|dosc|koniec|dosyc)( z)?{any}( {mails}| reklamom| spamowi| mailom)?
        (wypisz|wypisac|wypisuje sie|wypisanie|rezygnacja|rezygnuje|anuluj|anulowanie|usun|usuniecie|wypis|wyrejestruj|usunac)( sie| mnie| mojego adresu| adresu| subskrypcje| subskrypcji)*{any}( {list})?{any}( {list})?
        (wypisz|wypisac|wypiszcie)( prosze)?( mnie)?{any}( {list})?
        (rezygnacja|rezygnuje|wypisanie|wypis|usuniecie) (z|ze){any} {list}{any}( {list})?
        (bez|zadnych|nigdy wiecej|nie chce){any} {mails}
        (wiecej )?nie (pisac|wysylac|pisz|piszcie|wysylajcie|wysylaj|przysylac)( juz| wiecej| do mnie| mi)*
        sprzeciw( wobec| na)?( przetwarzani[a-z]+)?( danych)?( w celach)?( {purpose})?|(wycofanie|cofniecie) zgody( na)?( {purpose})?
        unsubscribe|opt out|dajcie mi spokoj
    """,
    courtesy_phrases="""
        prosze( bardzo)?|dziekuje( bardzo| z gory)?|dzieki|z gory dziekuje|uprzejmie|natychmiast|niezwlocznie|jak najszybciej|jesli to mozliwe|o ile to mozliwe|jezeli to mozliwe|jesli mozna|(bede|bylbym|bylabym) wdzieczn[ya]( ,)? (gdyby|gdybyscie|jesli|za)
        przepraszam|bardzo|pilnie|w trybie natychmiastowym|please|dziekujemy|pls|od zaraz|z gory
    """,
    greeting_phrases="dzien dobry|witam|czesc|hej|szanown[a-z]+|dobry wieczor|drodzy|panie|pani|panstwo|hello|witajcie|droga|drogi|do kogo",
    farewell_phrases="pozdrawiam|(serdeczne |z )?pozdrowienia(mi)?|z powazaniem|z wyrazami szacunku|dziekuje|dzieki|z gory dziekuje|milego dnia|pzdr",
    negation_phrases="nie|nigdy|bez|zamiast|ani|zanim",
    gap_stop_words="nie|nigdy|bez|ani|tylko",
    question_phrases="jak|dlaczego|czemu|kiedy|co|gdzie|kto|ile|ktory|ktora|czy musze|czy jesli|czy da sie|skad|po co",
    reported_speech_phrases="""
        (kolega|kolezanka|zona|maz|szef|klient|klienci|on|ona|oni) (chce|chca|chcial|prosil|mowi|powiedzial)
        kliknij|kliknac|w kazdej chwili|w dowolnym momencie|link (do|w)|przycisk|jest napisane|tutaj aby
    """,
    conjunctions="i|oraz|wiec|dlatego|ale|lub|albo|bo|poniewaz|a takze|zatem|gdyz",
    polite_question_phrases="""
        czy (moglibyscie|mogliby|moglby|moglaby|mozecie|moze|mozna|moglbys|moglabys|byloby|jest mozliwe|mozliwe|moglbym prosic|moge prosic)|prosze|(mozecie|moglibyscie|moglby pan|czy panstwo)
    """,
    condition_phrases="jesli|jezeli|gdyby|gdy|dopoki|chyba ze|o ile|w przypadku|dopiero gdy|jak tylko|po tym jak",
    third_party_phrases="""
        koleg[a-z]+|kolezank[a-z]+|zon[aye]|zony|meza|maz|matk[ai]|ojc[a-z]+|syna?|cork[ai]|szef[a-z]*|klient[a-z]*|przyjaci[a-z]+|otheraddress|jego|ja|ich
        zamowieni[a-z]+|faktur[a-z]*|dostaw[aye]|dostawie|paczk[a-z]+|paczek|przesylki|spotkani[a-z]+|wizyt[a-z]*|rezerwacj[a-z]+|zwrot[a-z]*|platnosc[a-z]*|umow[a-z]+|ubezpieczeni[a-z]+
        netflix[a-z]*|przegapic|ominac|stracic|facebook[a-z]*|linkedin[a-z]*|amazon[a-z]*|spotify|instagram[a-z]*|cookies?|webinar[a-z]*|kurs[a-z]*|wydarzeni[a-z]+|telefon[a-z]*|dzwonic|dzwoncie|czasopism[a-z]*|hasl[a-z]+|whatsapp|grup[a-z]+|pan|pana
    """,
    keep_mail_phrases="""
        (chce|chcialbym|chcialabym|wole)( nadal| dalej| tylko| znowu| znow| jednak| ponownie| jeszcze)+ (otrzymywac|dostawac|byc|zostac|sie zapisac|subskrybowac|tego|czytac|zapisac)
        (chce|chcialbym|chcialabym) (otrzymywac|dostawac|zostac(?! (usunie|wypisan|wykresl|skresl))|sie zapisac|zapisac sie|zachowac|zmienic|subskrybowac|wrocic)
        (zachowac|zachowajcie|zostawcie|zostawic|pozostawic|nadal otrzymywac|kontynuowac|dalej otrzymywac)
        (ale|lecz) (nie|tylko|zostawcie|zachowajcie|chce|nadal|te|ten|ile|chcialbym|prosze o)
        (tylko|wylacznie|jedynie) (z|ze|od|te|ten|zmienic|zmiane|na|miesieczn[a-z]+|tygodniow[a-z]+|cotygodniow[a-z]+|o|dla|adres|jeden)
        (?<=, )tylko|oprocz|poza|z wyjatkiem|zamiast tego|rzadziej|mniej (maili|wiadomosci)
        (zapiszcie|zapisz mnie|zapisac mnie|dopiszcie|dodajcie|dodac mnie|przywrocic|przywroccie|ponownie|znowu|z powrotem)
        (wypisal[a-z]*|usunal[a-z]*|usuniet[a-z]+|wypisan[a-z]+|zrezygnowal[a-z]*)~ (przez (pomylke|przypadek)|omylkowo|przypadkowo|niechcacy)
        (przez pomylke|przez przypadek|omylkowo|przypadkowo|niechcacy)~ (wypisal[a-z]*|usunal[a-z]*|usuniet[a-z]+|wypisan[a-z]+|kliknal[a-z]*)
        (zmienic|zmiana|zmiane) (adres|adresu|adresu e ?mail|maila)|zmienilem zdanie|zmienilam zdanie|zartuje
        (lubie|uwielbiam|podoba mi sie)( bardzo| czytac)* (wasz[a-z]*|ten|newsletter|panstwa)
    """,
    further_request_phrases="""
        kopi[a-z]+|dostep[a-z]* do|wglad|art 15|artykul 15|art 17|zamowieni[a-z]+|faktur[a-z]+|reklamacj[a-z]+|skarg[a-z]+|uodo|prawnik[a-z]*|adwokat[a-z]*|potwierdz[a-z]+|sad[u]?
        (usun|usuncie|usunac|usuniecie|usuniecia|skasujcie|skasowac|skasowania)~~ (dane|(?<!bazy )(?<!baz )danych|konto|konta)|skad|kto (wam|panstwu)|dajcie znac|prosze o informacje|telefon|kroki prawne
    """,
    remark_phrases="""
        nigdy (sie )?(nie )?(zapisywal[a-z]*|zapisal[a-z]*|wyrazal[a-z]*|wyrazil[a-z]*|prosil[a-z]*|zgadzal[a-z]*|podawal[a-z]*|subskrybowal[a-z]*)|nigdy sie nie|nie (zapisywal[a-z]*|zamawial[a-z]*|prosil[a-z]*|wyrazal[a-z]*)
        za duzo|zbyt (duzo|wiele)|nie jestem zainteresowan[a-z]+|nie interesuje|spam[a-z]*|codziennie|co (dzien|tydzien)|kolejny raz|juz (prosil[a-z]*|pisal[a-z]*)|po raz|dziekuje|ostatni
    """,
)
