"""Dutch."""

from preference_center.inbound.rules.objections.language import ObjectionLanguage

DUTCH = ObjectionLanguage(
    code="nl",
    placeholders={
        "address": "(mijn|dit|ons|onze|me|m n) (e ?mail ?|mail ?)?(adres|mailadres|emailadres|naam|contactgegevens|e ?mail|account bij de nieuwsbrief)|myaddress",
        "me": "mij|me|ons|mezelf|{address}",
        "mails": "e ?mails?|mails?|mailtjes|mailings?|mailinglijst|nieuwsbrie(f|ven)|nieuwsmails?|reclame[a-z]*|advertenties?|aanbiedingen|berichten|post|spam|marketing[a-z]*|promoties?|informatie|info"
        "|berichtgeving|commerciele (berichten|mails?|e ?mails?)|communicatie|correspondentie|toezending(en)?|troep|rommel|folders|acties|updates|newsletters?|mededelingen",
        "list": "[a-z]*lijst(en)?|[a-z]*bestand(en)?|database|databank|systeem|systemen|adressenbestand|contact(en)?|contactpersonen|adresboek|distributielijst|abonnees|abonnement|{mails}",
        "p": "( u| je| jullie| alstublieft| alsjeblieft| aub| svp| even| onmiddellijk| direct| graag| dan| nu| per direct| dus| a u b| gewoon| zo spoedig mogelijk| eens| meteen| ook| hierbij| svp)*",
        "any": "( meer| de| het| uw| jullie| je| deze| dit| die| dat| van| voor| uit| alle| andere| verdere| soort| soortgelijke| ongevraagde| aan| in| op| via| per| verder| al| dergelijke| nieuwe| commerciele| e ?mail| enkele| verdere| toekomstige| reclame)*",
        "want": "(wil|willen|zou|zouden|wens|wensen|verzoek|verzoeken|vraag|vragen|eis|eisen|hoop|verlang|zou graag)",
        "imp": "(haal|haalt|halen|verwijder|verwijdert|verwijderen|schrap|schrappen|gooi|gooien|wis|wissen|neem|nemen|knikker|te verwijderen|te halen|te schrappen|af te halen)",
        "inf": "(afmelden|uitschrijven|af te melden|uit te schrijven|uitschrijft|afmeldt|afgemeld|uitgeschreven)",
        "none": "(geen|niks|niets|nooit)",
        "purpose": "(reclame[a-z]*|marketing[a-z]*|direct marketing|gebruik~ gegevens|verwerking|profilering|nieuwsbrie(f|ven)|commerciele|advertentie[a-z]*|mijn (persoons)?gegevens|{mails})",
        "get": "(ontvangen|krijgen|hebben|zien|lezen|te ontvangen|te krijgen|toegestuurd|gestuurd)",
    },
    objection_phrases="""
        (haal|haalt|gooi){p} {me} (eraf|er af)$
        {imp}{p} mijn gegevens~ (uit|van)~ {list}
        (ontvang|krijg)( ik)? (liever|graag) (geen|niets)
        (gebruik|gebruikt|gebruiken) mijn (adres|e ?mailadres|mailadres|gegevens)~ (niet|nooit) (meer|langer)~ {purpose}
        (gebruik|gebruikt|gebruiken) mijn (adres|e ?mailadres|mailadres|gegevens) niet( meer| langer)?~~ {purpose}
        ({want}|verzoek u|graag)~ (uitschrijving|afmelding|verwijdering)~~ ({list}|nieuwsbrief)
        (meld|meldt|melden){p} {me}~~ af
        (schrijf|schrijft|schrijven){p} {me}~~ uit
        {imp}{p} {me}~~ (van|uit|vanaf|van af)~ {list}
        {imp}{p} {me}( dan| alstublieft| aub| onmiddellijk| direct| svp| alsjeblieft| nu| a u b)*$
        {me}~ (van|uit|vanaf)~ {list}~ ((te )?(verwijderen|halen|schrappen|wissen|nemen|verwijdert|haalt|afhalen|gooien)|verwijderd|gehaald)
        {me}~ (verwijderen|schrappen|halen)~ (uit|van)~ {list}
        (neem|neemt|nemen){p} geen contact meer
        {me}~~ {inf}
        {me}~ (te )?(verwijderen|schrappen|wissen)$
        (ik|wij|we)~ {want}~~ ({list}|nieuwsbrief)~ (af|verwijderd|gehaald|geschrapt|afgehaald|verwijderd worden)
        (ik|wij|we)~ {want}~~ (uitgeschreven|afgemeld|verwijderd) (te )?(worden|willen worden)
        (van|uit)~ {list}~ (verwijderd|gehaald|geschrapt) (te |willen |wil )?worden
        (ik|wij|we)~ {want}~ (nieuwsbrief|mailing|abonnement op~ nieuwsbrief|{mails})~ (opzeggen|stopzetten|afmelden|beeindigen|annuleren)
        (ik|hierbij|bij deze)~ (zeg|meld|schrijf)~~ (nieuwsbrief|mailinglijst|{list})~ (op|af|uit)$
        (hierbij|bij deze) (meld|schrijf) ik (mij|me)~~ (af|uit)
        (ik )?(verzoek|vraag|wens)~ (uitschrijving|afmelding)
        (stuur|stuurt|sturen|zend|zendt|zenden|mail|mailt|mailen|verstuur){p}( (mij|me|ons))?{p}( naar~ adres)? {none}{any}( {mails}|$)
        {none}{any} {mails}~ (te )?(sturen|zenden|toesturen|toe te sturen|mailen|versturen|stuurt|stuur)
        {me}~ {none}{any} {mails}~ (te )?(sturen|zenden|toesturen|stuurt|stuur|mailen)
        (ik|wij|we) {want}( u| graag| echt| absoluut| dus| van u| van jullie)* {none}{any} ({mails}|meer~ (horen|{get}))
        (ik|wij|we) (hoef|hoeven|heb){p} (geen|niks|niets){any} {mails}
        (ik|wij|we)~ {want}~~ niet (meer|langer|verder)~ ({get}|gemaild|benaderd|lastiggevallen|gecontacteerd|hebben|op~ {list})
        (mail|mailt|mailen|contacteer|contacteert|benader|benadert|benaderen|schrijf|schrijft|schrijven|spam){p} (mij|me|ons) (aub |svp |alstublieft )?(niet|nooit)( meer| langer| weer| verder)
        (ons|me|mij) (niet|nooit) (meer|langer) (te )?(mailen|contacteren|benaderen|schrijven|lastigvallen|lastig te vallen)
        (stop|stopt|stoppen|houd|hou|houdt){p}( op)?{p} (met|het)~ (sturen|mailen|versturen|spammen|zenden|toezenden|e ?mailen|contacteren|benaderen|lastigvallen|{mails})
        (staak|staken|beeindig|beeindigen|stop)~ (het (sturen|toezenden|zenden|versturen|toesturen)|toezending|verzending|verzenden)~ {mails}
        (maak|maken|teken|tekenen|dien|dienen)~ bezwaar~~ {purpose}
        bezwaar~ (tegen|te maken)~~ {purpose}
        (maak|maken) (hierbij )?gebruik van~~ (recht van bezwaar|recht om bezwaar)
        (beroep|beroepen)~ (me|mij)?~ (recht van bezwaar|recht op bezwaar)
        (trek|trekken|intrekken|herroep|herroepen|in te trekken)~~ (toestemming|instemming|akkoord)
        (mijn|onze) (toestemming|instemming)~~ (in|intrekken|in te trekken|ingetrokken|herroepen)
        (toestemming|instemming)~ ingetrokken
        (geen|nooit|niet)( mijn)? toestemming~~ ({purpose}|{mails})
        (geef|geven)~ geen toestemming~~ {purpose}
        gegevens~ (niet|niet langer|niet meer)~~ {purpose}~ (gebruiken|verwerken|gebruikt|verwerkt)
        (gebruik|gebruikt|verwerk)~ gegevens~ niet~~ {purpose}
        (verbied|verbieden)~~ {purpose}
        (niet (meer|langer)|geen) (geinteresseerd|interesse) in{any} (nieuwsbrief|nieuwsbrieven|mails|{mails})
        laat {me} (met rust)
    """,
    standalone_objection_phrases="""
        stop( met)?{any}( {mails})?
        (graag |gaarne |verzoek tot |verzoek om |verzoek )*(afmelden|uitschrijven|afmelding|uitschrijving|opzeggen|uitschrijfverzoek|afmeldverzoek){any}( {list})?
        (graag )?(me|mij|ons) (afmelden|uitschrijven){any}( {list})?
        (nieuwsbrief|mailing|abonnement|mailinglijst) (afmelden|uitschrijven|opzeggen|stopzetten|beeindigen|afmelding|stoppen)
        (geen|nooit){any} {mails}( meer)?( sturen| ontvangen| graag| gewenst)*
        (graag )?(verwijderen|schrappen)( me| mij)?{any}( {list})?
        (meld|schrijf) (me|mij|ons)( aub| alstublieft| alsjeblieft)? (af|uit)
        bezwaar( tegen)?( {purpose})?|intrekken toestemming|intrekking( van)?( mijn)? toestemming
        unsubscribe|opt out|laat me met rust
    """,
    courtesy_phrases="""
        alstublieft|alsjeblieft|aub|a u b|svp|s v p|graag|bedankt|dank( u| je)?( wel)?|dankjewel|alvast bedankt|bij voorbaat dank|per direct|onmiddellijk|direct|zo spoedig mogelijk|zsm
        als (het|dat) (kan|mogelijk is)|indien mogelijk|vriendelijk|gaarne|sorry|please|met spoed|(het )?op prijs( stellen| gesteld worden)?( ,)? (als|indien)|fijn als|als u zo vriendelijk wilt zijn|met onmiddellijke ingang|vandaag nog|hartelijk
    """,
    greeting_phrases="hallo|hoi|hi|hey|dag|goede(morgen|middag|avond|ndag)|goeden? (morgen|middag|avond|dag)|beste|geachte|lieve|heer|mevrouw|l s|ls|heren",
    farewell_phrases="""
        (met )?(vriendelijke|hartelijke|beste) groet(en|jes)?|groet(en|jes)?|mvg|hoogachtend|gr|bedankt|dank u|m v g|groetjes|met vr gr|alvast bedankt
    """,
    negation_phrases="niet|nooit|geen|zonder|in plaats van|niks|voordat|weiger",
    gap_stop_words="niet|nooit|geen|zonder|alleen",
    question_phrases="hoe|waarom|wanneer|wat|waar|wie|welke|of|kan ik|moet ik|hebben jullie|heeft u|werkt|mag ik weten|hebt u",
    reported_speech_phrases="""
        (collega|vriend|vriendin|vrouw|man|baas|klant|klanten|hij|zij|ze) (wil|willen|wilde|heeft|zegt|vroeg|zei)
        klik( dan)? (hier|op)|op elk moment|te allen tijde|link (om|onder|voor)|afmeldlink|er staat|knop|hier om
    """,
    conjunctions="en|dus|maar|of|want|omdat|daarom|ook",
    polite_question_phrases="""
        (kunt|kunnen|kan|kun|wilt|willen|wil|zou|zouden|zoudt|mag|mogen)( u| je| jullie| ik (u|jullie|je)?( (verzoeken|vragen))?)|alstublieft|alsjeblieft|aub|is het mogelijk|graag
    """,
    condition_phrases="als|indien|wanneer|tenzij|totdat|tot|zodra|mocht|nadat|in geval",
    third_party_phrases="""
        collega s?|collegas?|vriend(in)?|mijn vrouw|mijn man|echtgenote?|moeder|vader|zoon|dochter|baas|klant(en)?|otheraddress|hem|haar|hen
        missen|bestelling(en)?|factuur|facturen|levering(en)?|pakket(ten)?|pakje|afspraak|afspraken|reservering|terugbetaling|betaling(en)?|contract|verzekering
        netflix|facebook|linkedin|amazon|spotify|instagram|wachtlijst|cookies?|webinar|cursus|evenement|telefoon|telefonisch|bellen|gebeld|tijdschrift|wachtwoord|groepsapp|whatsapp|ziggo|bol
    """,
    keep_mail_phrases="""
        (wil|zou|willen)( wel| graag| nog| alleen| toch)* (blijven|behouden|houden|doorgaan|nog steeds|weer|opnieuw|inschrijven|aanmelden|mij aanmelden|me aanmelden)
        (blijf|blijven|behoud|behouden|houd mij|doorgaan met|nog steeds ontvangen|wel blijven|weer ontvangen|weer aanmelden|weer toevoegen|opnieuw aanmelden|opnieuw inschrijven)
        maar (niet|wel|alleen|behoud|blijf|stuur|ik wil|hou|houd|wat kost|de|het|graag|die)
        (alleen|enkel|slechts)( maar)? (van|voor|de|het|uit|mijn|die|nog|deze|adres|een|per|wekelijkse)
        (?<=, )(alleen|enkel)|behalve|uitgezonderd|met uitzondering|in plaats daarvan|minder (vaak|mails|mail)
        (aanmelden|inschrijven|meld me aan|meld mij aan|schrijf me in|schrijf mij in|voeg me|voeg mij|abonneren)
        (afgemeld|uitgeschreven|verwijderd)~ (per ongeluk|per abuis|abusievelijk)
        (per ongeluk|per abuis|abusievelijk)~ (afgemeld|uitgeschreven|verwijderd|geklikt)
        (adres|mailadres|e mailadres) (wijzigen|veranderen|aanpassen)|ben van gedachten veranderd|grapje
        (lees|vind|geniet|hou)~ (graag|leuk|van (uw|jullie|de)|geweldig)
    """,
    further_request_phrases="""
        inzage|kopie|artikel 15|art 15|artikel 17|art 17|bestelling|factuur|terugbetaling|klacht|advocaat|autoriteit|juridische|aangifte|bevestig[a-z]*
        (verwijder|wis|vernietig)[a-z]*~~ (gegevens|account)|gegevens~ (verwijder|wis|vernietig)[a-z]*|hoe komen|hoe komt|van wie|laat me weten|laat mij weten|telefoon
    """,
    remark_phrases="""
        (nooit|niet) (aangemeld|ingeschreven|gevraagd|om gevraagd|toestemming|geabonneerd|besteld)|nooit~ (aangemeld|ingeschreven|gevraagd|toestemming)|te veel|teveel|geen (interesse|belangstelling)|niet geinteresseerd
        spam|elke (dag|week)|dagelijks|al (vaker|meerdere|drie|twee)|laatste|dank|zat|beu|interesseert me niet
    """,
    trailing_negation_phrases="(alstublieft |alsjeblieft |aub |svp )?(niet|nooit)",
)
