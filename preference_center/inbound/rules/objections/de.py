"""German. `ae`, `oe` and `ue` are read as the umlauts without their dots."""

from preference_center.inbound.rules.objections.language import ObjectionLanguage

GERMAN = ObjectionLanguage(
    code="de",
    placeholders={
        "me": "mich|uns|{address}",
        "address": "mein[e]? (e ?mail ?|mail ?)?(adresse|mailadresse|emailadresse|anschrift)|unsere (e ?mail ?|mail ?)?adresse"
        "|meinen (namen|kontakt|eintrag|account)|diese (e ?mail ?)?(adresse|mailadresse)|myaddress|meine (kontaktdaten|e ?mail|mail)",
        "list": "[a-z]*verteilers?n?|[a-z]*listen?|[a-z]*datenbank(en)?|kartei|kundenkartei|newsletters?n?|newslettern"
        "|[a-z]*bestand|system|kontakten?|adressbuch|aussendung(en)?|{mails}",
        "mails": "e ?mails?|mails?|mailings?|newsletters?|newslettern|werbung(en)?|werbe[a-z]+|werbe (e )?mails?"
        "|nachrichten|post|angeboten?|infos?|informationen|infopost|zusendung(en)?|zuschriften|rundschreiben|rundmails?|spam[a-z]*"
        "|reklame|kontaktaufnahmen?|marketing[a-z]*|massenmails|infomails?|schreiben|ansprache|emailwerbung|mailwerbung|direktwerbung|promotion[a-z]*|benachrichtigungen|mitteilungen|zeug|kram|mull",
        "p": "( sie| ihr| du| bitte| doch| mal| endlich| sofort| umgehend| unverzuglich| hiermit| ab sofort| jetzt| daher| deshalb| freundlicherweise| kunftig| zukunftig| gerne| also| schnellstmoglich)*",
        "want": "(mochten?|will|wollen|wunschen?|wurden?( gerne?| mich freuen)?|verlangen?|fordern?|bitten?|hatten?( gerne?)?|beabsichtige|habe vor)",
        "i": "(ich|wir)",
        "verb": "(nehmen|nimm|nehmt|streichen|streich|streiche|streicht|loschen|losch|losche|loscht|entfernen|entferne|entfernt|werfen|werft|wirf|schmeissen|schmeisst|tragen|trag|trage|tragt|lassen|austragen)",
        "inf": "(nehmen|loschen|entfernen|streichen|herausnehmen|rausnehmen|herauszunehmen|rauszunehmen|auszutragen|austragen|abmelden|abzumelden|herausloschen|rausloschen|werfen|entlassen)",
        "done": "(geloscht|entfernt|gestrichen|genommen|herausgenommen|rausgenommen|ausgetragen|abgemeldet|befreit)",
        "get": "(erhalten|bekommen|empfangen|beziehen|haben|lesen|zugesandt|zugeschickt|kriegen|sehen|zu erhalten|zu bekommen|zu empfangen)",
        "contact": "(kontaktieren|kontaktiert|anschreiben|angeschrieben|anmailen|angemailt|belastigen|belastigt|beworben|behelligen|behelligt|zumullen|zuspammen|bewerben|angesprochen|zuballern|bombardieren|nerven|zu kontaktieren|anzuschreiben|zu belastigen)",
        "consent": "([a-z]*einwilligung(en)?|zustimmung(en)?|einverstandnis[a-z]*|erlaubnis|genehmigung|opt in)",
        "purpose": "(werbung|werbe[a-z]+|direktwerbung|direktmarketing|marketing[a-z]*|newsletters?|datenverarbeitung|profiling|zusendung(en)?|werblich[a-z]+|{mails}|(nutzung|verwendung|verarbeitung|speicherung|weitergabe)~ daten)",
        "none": "(keine?n?|keinerlei|nichts|nie)",
        "any": "( dem| vom| aus| im| zum| zu| weiteren?| mehr| solchen?| derartigen?| eure[nr]?| ihre[nr]?| euer| ihr| diese[nr]?| den| die| das| der| von| zu| an| mir| uns| sonstigen?| kunftig| zukunftig| unerwunschten?| unaufgeforderte[nr]?| ihnen| per| weiterhin| auch| art| jegliche[nr]?| e ?mail| einzigen?| neue[nr]?)*",
    },
    objection_phrases="""
        (habe|haben)( ich| wir)? (kein|keinerlei) (interesse|interesse mehr)( mehr)? (am|an|mehr am|mehr an)~ (newsletters?|e ?mails|mails|werbung|zusendungen|werbemails)
        (um|wunsche|verlange|fordere|beantrage)~ (sofortige |umgehende )?(abmeldung|austragung|loschung|entfernung)~~ (newsletter|[a-z]*verteiler|[a-z]*liste)
        (ich|wir) {want}~ (das|dies|sowas|so etwas) nicht (mehr|langer) {get}
        (stoppen|stoppt|stopp|stoppe|beenden|beendet){p}~ (newsletters?|mailings?|{mails})
        (loschen|entfernen|streichen|loscht|entfernt) (sie )?(bitte )?meine (daten|kontaktdaten)~ (aus|von|vom)~ {list}
        (?<!ich )(melden|melde|meldet|meld){p} {me}~~ ab(?! (montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag|dem|den|der|morgen|nachste|nachsten|kommende|kommenden|januar|februar|marz|april|mai|juni|juli|august|september|oktober|november|dezember|[0-9]))
        (tragen|trage|trag|tragt){p} {me}~~ aus
        {verb}{p} {me}~~ (aus|von|vom|raus|heraus|runter)~ {list}
        {verb}{p} {me}( bitte| sofort| umgehend)*( (raus|heraus|runter))$
        (loschen|losch|losche|loscht|entfernen|entferne|entfernt|streichen|streiche|streicht|streich){p} {me}( bitte| sofort| umgehend| endlich| dauerhaft| komplett| unverzuglich)*$
        {me}~ (aus|von|vom)~~ {list}~ (zu )?{inf}
        {me}~~ (abmelden|austragen|abzumelden|auszutragen)
        {me}( bitte| sofort| umgehend| endlich| dauerhaft| wieder| komplett)* (zu )?(loschen|entfernen|streichen|abmelden|austragen|rausnehmen|herausnehmen|rausschmeissen)$
        {i} {want}~~ (geloscht|entfernt|gestrichen|genommen|herausgenommen|ausgetragen|abgemeldet) (zu )?werden
        aus~ {list}~ (zu )?{inf}$
        (aus|vom|von)~ {list}~ {done}( zu)? werden
        {i} {want}~~ (newsletters?|abo|abonnement|{mails})~ (abbestellen|abmelden|kundigen|stornieren|abzubestellen|beenden|einstellen)
        {i}~ (bestelle|bestellen|kundige|kundigen|storniere|melde)~ (newsletters?|newsletter abo|newsletterabo|{mails})~ ab$
        (kundige|kundigen|bestelle|bestellen)( ich| wir)?( hiermit| sie)*( den| das| meinen?| ihren| euren)* (newsletters?|newsletter abo|newsletterabo|werbemails)
        melde (ich )?(mich|uns)~ (newsletters?|[a-z]*verteiler|mailingliste|[a-z]*liste|werbung)~ ab
        (bitten?|ersuchen?|beantragen?|verlangen?|fordern?|erbitten?|wunschen?)~ (abmeldung|austragung|abbestellung)
        (bitten?|ersuchen?|beantragen?|verlangen?|fordern?|erbitten?|wunschen?)~ (loschung|entfernung|streichung)~ ({list}|adresse|e ?mail|mailadresse|emailadresse)
        (senden|schicken|schreiben|mailen|sende|schick|schicke|schickt|schreib|schreibt|sendet|ubersenden|zusenden){p} (mir|uns|an diese adresse|an mich|myaddress)~ {none}{any}( {mails}| zu$|$)
        (senden|schicken|schreiben|mailen|sende|schick|schicke|schickt|schreib|schreibt|sendet){p}( mir| uns| an~ adresse)? {none}{any} {mails}
        (schreiben|schreib|schreibt|mailen|mailt|kontaktieren|kontaktiert|belastigen|belastigt|nerven|nervt|behelligen){p} (mir|mich|uns) (bitte )?(nicht|nie) (mehr|weiter|wieder|langer)
        (schreiben|schreibt|kontaktieren|kontaktiert|belastigen|belastigt){p} (mich|mir|uns) (bitte )?nicht$
        {i} {want}{p} (ab sofort |von ihnen |von euch |per mail )?{none}{any} ({mails}|mehr~ (horen|lesen|{get}))
        {i} (brauchen?|benotigen?){p} (keine?n?|keinerlei){any} (newsletters?|e ?mails?|mails?|werbung|werbemails|zusendungen|spam)
        {i} {want}~~ (nicht|nie) (mehr|langer|weiter|weiterhin|wieder)~ ({get}|{contact}|auf~ {list})
        (nicht|nie) (mehr|langer|weiter|weiterhin|wieder)~ {contact}( zu)?( werden)?$
        {want}{p}~ {none}{any} {mails}~ {get}
        keine?n?{any} {mails}( mehr)?~ (senden|schicken|zusenden|zuschicken|zu senden|zu schicken|zuzusenden|zukommen lassen|zukommen zu lassen|schreiben|versenden)
        (horen|hort|hor|aufhoren){p}( auf)?( ,)? (mir|mich|uns|mit|damit)~~ ({mails}|schreiben|senden|schicken|kontaktieren|belastigen|spammen|nerven|zu|auf)
        (stoppen|stoppt|stopp|beenden|beendet|unterlassen|unterlasst|unterlasse|einstellen|unterbinden){p}( mit)?~ ({mails}|versand|zusendung|kontaktaufnahme|belastigung)
        (stellen|stellt|stell){p}~ (versand|zusendung|{mails})~ ein
        (verschonen|verschont|verschone){p} (mich|uns)~ (mit|von|vor)
        (lassen|lasst|lass){p} mich (bitte |endlich )?in ruhe
        (widerspreche|widersprechen|widersprochen|untersage|untersagen|untersagt|verbiete|verbieten|verbitte|verbitten)~~ {purpose}
        (untersage|untersagen|verbiete|verbieten|verbitte)( es)?( ihnen| mir| euch| hiermit)*( ,)? (mir|mich|uns|meine)~~ ({mails}|{contact}|werblich)
        (nehmen|nehmt|nimm){p} keinen kontakt mehr
        widerspruch~~ (gegen|gemass|zur|zu|nach)~~ {purpose}
        (lege|legen|erhebe|erheben|einlege)~ widerspruch~~ (gegen|gemass|zur|nach)~~ ({purpose}|daten)
        (einspruch|widerspruchsrecht|recht auf widerspruch|widerspruchsrechts?)~~ ({purpose}|gebrauch|daten)
        (widerrufe|widerrufen|ziehe|ziehen|entziehe|entziehen|nehme|nehmen|zurucknehmen|zuruckziehen)( ich| wir| hiermit| meine?| unsere?| jegliche| alle| samtliche| ihnen| die| erteilte| gegebene| etwaige| eventuell| sofort| mit sofortiger wirkung| ausdrucklich)* {consent}
        (meine?|unsere?|erteilte)~ {consent}~~ (widerrufe|widerrufen|zuruck|zuruckziehen|zuruckzuziehen|entziehen)
        widerruf~ {consent}
        (erlaube|erlauben|gestatte|gestatten)( ich| wir)?( ihnen| euch)?~ nicht( ,)?~~ {purpose}
        (keine|nie|nicht|niemals)( ihnen| meine| eine| ihre)* {consent}~~ {purpose}
        (erteile|erteilen|gebe)~ keine?~ {consent}~~ {purpose}
        (nutzen|verwenden|verarbeiten){p}~ (daten|adresse)~ (nicht|keinesfalls)~~ {purpose}
        daten~ nicht (mehr|langer|weiter)~~ {purpose}~ (nutzen|verwenden|verarbeiten|genutzt|verwendet|verarbeitet)?
        (keine|nicht) (weitere )?(nutzung|verwendung|verarbeitung)~ daten~~ {purpose}
        (verzichte|verzichten)~ (auf)~ (weitere|kunftige|ihre|eure|zusendung|diese)~ {mails}
        bin( ich)?~ nicht (mehr|langer|weiter) (an|am)~ (newsletters?|{mails}) interessiert
    """,
    standalone_objection_phrases="""
        loschen
        (stop|stopp)( {mails})?
        (sofortige )?(abmelden|abmeldung|abbestellen|abbestellung|austragen|austragung|abmeldebitte|abmeldewunsch){any}( {list})?( {list})?
        (newsletters?|werbung|{mails}|mich|uns|ihren newsletter|den newsletter)( vom| von| aus)?{any}( {list})? (abmelden|abbestellen|austragen|abmeldung|abbestellung|stornieren|kundigen|loschen|stoppen|einstellen)
        (keine?n?|keinerlei){any} {mails}{any}( senden| schicken| zusenden| zuschicken| erwunscht| gewunscht| an mich| erhalten)*
        (bitte )?um (abmeldung|austragung|loschung aus~ {list}){any}( {list})?
        (schluss|genug|aufhoren)( mit)?{any}( {mails})?
        (widerspruch|werbewiderspruch|widerruf)( gegen| zur| der| meiner?)*( {purpose}| {consent})?( nach| gemass)?( art)?( 21)?( dsgvo)?
        unsubscribe|opt out|lasst mich in ruhe|lassen sie mich in ruhe|nicht mehr anschreiben|bitte loschen
        (aus|vom|von){any} {list} (nehmen|loschen|entfernen|streichen|austragen|abmelden)
    """,
    courtesy_phrases="""
        bitte|danke( schon| im voraus| sehr)?|vielen dank|besten dank|herzlichen dank|dankeschon|sofort|umgehend|unverzuglich|wenn moglich
        falls moglich|sofern moglich|wenn es geht|ab sofort|mit sofortiger wirkung|schnellstmoglich|sorry|entschuldigung|freundlichst
        seien sie so (gut|nett)( und)?|wenn (es )?ihnen nichts ausmacht|(ware|wurde) (es )?(ihnen |euch )?(sehr )?(nett|schon|dankbar|toll|begrussen|freuen|mich freuen)( ,)? wenn( sie| ihr)?|pls|please|hiermit|endlich|nochmals|im voraus
    """,
    greeting_phrases="""
        hallo|hi|hey|guten (tag|morgen|abend)|sehr geehrte[rsn]?|liebe[rs]?|moin|servus|gruss gott|gruezi|damen und herren|werte[rs]?
        zusammen|geehrte
    """,
    farewell_phrases="""
        (mit |viele |beste |liebe |freundliche |herzliche |schone )*(freundlichen? |besten |lieben |herzlichen )?(grussen?|gruss)
        mfg|lg|vg|hochachtungsvoll|danke|vielen dank|besten dank|gru(ss|sse)
    """,
    negation_phrases="nicht|nie|kein[a-z]*|ohne|statt|anstatt|niemals|weder|bevor|weigere",
    gap_stop_words="nicht|nie|niemals|keine?|keinen|ohne|nur",
    question_phrases="""
        wie|warum|wieso|weshalb|wann|was|wo|wer|ob|welche[rs]?|woher|funktioniert|kann ich|muss ich|soll ich|haben sie|habt ihr|darf ich wissen
    """,
    reported_speech_phrases="""
        (kolleg(e|in)|frau|mann|chef|kunde|kunden|er|leute|nutzer) (will|mochte|wollte|hat|sagt|sagte|wollen|mochten)
        hier klicken|klicken sie( bitte)? hier|jederzeit|link (zum|zur|unten|in)|steht dass|es heisst|abmeldelink|sie konnen sich|button
    """,
    conjunctions="und|sowie|daher|deshalb|aber|oder|weil|denn|also|ausserdem",
    polite_question_phrases="""
        (konnten|konnen|konntet|konnt|kannst|konntest|wurden|wurdet|wurdest|wollen|mochten|darf|durfte)( sie| ihr| du| ich( (sie|euch|dich))?| wir)
        bitte|ist es moglich|ware es moglich|geht das|kann man
    """,
    condition_phrases="wenn|falls|sofern|sobald|solange|bis|nachdem|sollten sie|sollte ich|im falle|es sei denn",
    third_party_phrases="""
        kolleg(e|en|in|innen)|ehefrau|ehemann|meine frau|mein mann|mutter|vater|tochter|sohn|chef|chefin|kunden?|freund(in)?|otheraddress
        bestellung(en)?|rechnung(en)?|lieferung(en)?|paket(e)?|termine?|buchung|vertrag|vertrags|kaufvertrag|warteliste|versicherung|zahlung|erstattung|auftrag
        verpassen|netflix|facebook|linkedin|amazon|spotify|instagram|cookies?|webinar|seminar|kurs|kurses|veranstaltung|treffen|ihn|ihm
        telefon|telefonisch|anrufe?|anrufen|zeitschrift|magazin|abo der|passwort|whatsapp|gruppe|chat|schule|arbeitsamt|herr|herrn|frau
    """,
    keep_mail_phrases="""
        (weiterhin|weiter|wieder|noch|gerne|trotzdem|nach wie vor) (erhalten|bekommen|empfangen|lesen|dabei|haben|anmelden|angemeldet|aufnehmen|aufgenommen|eingetragen|abonnieren|informiert|beziehen)
        (mochte|will|wurde)~ (abonnieren|behalten|bleiben|weiterlesen|anmelden|angemeldet|aufgenommen|wieder|weiterhin)
        (melden|melde|meldet|tragen|tragt|nehmen|nehmt){p} mich~ (an|ein|auf|wieder)$
        (behalten|behalte|beibehalten|abonnieren|weiterhin (zu|den|die)|wieder an|wieder auf|wieder ein|wieder dabei|wiederanmelden)
        nur( noch)?( mehr)? (vom|von|den|die|das|der|aus|fur|die mails|einen|diese|meine|eine|wochentlichen|per|zum|werbung fur)
        (sondern|aber) (nur|nicht|den|die|das|behalten|weiterhin|bitte weiter|den monatlichen|was kostet|was|wie|mochte)
        (?<=, )nur|ausser|ausgenommen|bis auf|mit ausnahme|abgesehen von|statt dessen|stattdessen|anstatt|lediglich|seltener|weniger (mails|e mails|werbung)
        (abgemeldet|ausgetragen|geloscht|abbestellt)~ (aus versehen|versehentlich|irrtumlich)
        (versehentlich|aus versehen|irrtumlich)~ (abgemeldet|ausgetragen|geloscht|abbestellt|abmelden|geklickt)
        adresse (andern|geandert|hat sich|zu andern)|meine meinung geandert|anders uberlegt|scherz|nein danke ich bleibe
        (lese|mag|liebe|schatze|freue)~ (gerne?|den newsletter|ihren newsletter|euren newsletter|ihre mails|eure mails|sehr|auf)
    """,
    further_request_phrases="""
        auskunft|kopie|art 15|artikel 15|art 17|artikel 17|bestellung|rechnung|lieferung|erstattung|beschwerde|anwalt|rechtsanwalt|anzeige|abmahnung
        (losch|loscht|loschen|losche|loschung|entfernen|vernichten|geloscht)~~ (daten|konto|account|kundenkonto)
        (alle|samtliche)~ daten~ (zu )?(loschen|entfernen|vernichten)
        datenschutzbehorde|aufsichtsbehorde|datenschutzbeauftragt[a-z]+|bestatig[a-z]+|woher|wie kommen|rechtliche schritte|melden sie sich|rufen sie
    """,
    remark_phrases="""
        (nie|niemals|nicht) (angemeldet|bestellt|abonniert|zugestimmt|eingewilligt|registriert|angefordert|gewunscht)|nie darum gebeten
        zu viele?|kein interesse|nicht interessiert|spam|jeden tag|taglich|standig|nervt|mehrfach|mehrmals|schon (dreimal|zweimal|oft)|letzte (warnung|aufforderung)
        interessier(t|en) mich nicht|danke
    """,
    trailing_negation_phrases="(bitte |jetzt |doch |wirklich )*(nicht|keinesfalls|nie)",
    spelling_variants={"ae": "a", "oe": "o", "ue": "u"},
)
