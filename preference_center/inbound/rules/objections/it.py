"""Italian."""

from preference_center.inbound.rules.objections.language import ObjectionLanguage

ITALIAN = ObjectionLanguage(
    code="it",
    placeholders={
        "mails": "e ?mails?|mails?|news ?letters?|messagg(i|io)|comunicazion[ei]|pubblicita"
        "|(materiale|messaggi|comunicazioni|invii|mail|email|posta|contenuti|informazioni) (pubblicitari[aeo]?|promozional[ei]|commercial[ei]|informativ[aeoi]|marketing)"
        "|offerte|promozion[ei]|spam|niente|nulla|corrispondenza|posta|informazioni|marketing"
        "|aggiornamenti|volantini|inviti|roba|mailing|invii|reclame|proposte|contenuti",
        "list": "list[ae]|mailing ?list|database|data ?base|elenc(o|hi)|archivi[o]?|contatti|rubrica"
        "|indirizzari[o]?|banca dati|banche dati|iscritti|sistem[ai]|registri|{mails}",
        "me": "(il )?mio (indirizzo|nominativo|nome|contatto|account email)|(la )?mia (e ?mail|mail|casella)"
        "|i miei (contatti|recapiti)|questo indirizzo|questa (e ?mail|mail)|myaddress",
        "now": "( subito| immediatamente| grazie| per favore| prego| al piu presto| quanto prima)*",
        "of": "( piu| da| dal| dalla| dalle| dai| dagli| dall| alla| alle| della| delle| del| di| la| le| i| il| lo"
        "| gli| altre| altri| altra| ulteriori| alcun[ao]?| nessun[ao]?| vostr[aeio]| vostro| tu[aeo]| tuoi| sue|"
        " suoi| sua| queste?| questi| tutt[ei]| piu alcun[ao]?| nuov[ei]| tipo di| qualsiasi| genere di| futur[ei]|"
        " email| e mail)*",
        "off": "(cancellarmi|disiscrivermi|rimuovermi|togliermi|eliminarmi|depennarmi|cancellarci"
        "|disiscriverci|rimuoverci|toglierci|escludermi|disabbonarmi|levarmi)",
        "offed": "(cancellat[oaie]|rimoss[oaie]|disiscritt[oaie]|eliminat[oaie]|tolt[oaie]|depennat[oaie]|esclus[oaie])",
        "want": "vorrei|voglio|desidero|chiedo|vi chiedo|le chiedo|ti chiedo|prego|vi prego|la prego"
        "|gradirei|intendo|pretendo|esigo|richiedo|preferirei|vorremmo|desideriamo|chiediamo|vogliamo",
        "purpose": "marketing|pubblicitar[ioe]+|pubblicita|promozional[ei]|commercial[ei]|profilazione"
        "|miei dati|dati personali|newsletter|direct marketing|spam|telemarketing|propaganda|vendita diretta",
    },
    objection_phrases="""
        (annullate|annulli|cancellate|cancelli|annulla|cancella) (la mia |l |mia )?(iscrizione|sottoscrizione)(~ {list})?$
        (si richiede|si chiede|si prega di procedere alla)~ (cancellazione|disiscrizione|rimozione)~~ (newsletter|mailing|{list})
        non sono (piu )?interessat[oa](?= a| alle| al| all)( piu)?( a| ai| alle| alla| al)( ricevere)?{of} (newsletter|e ?mails?|mails?|comunicazioni|pubblicita)
        (cancellate|cancelli|cancellare|eliminate|elimini|eliminare|rimuovete|rimuova|rimuovere|togliete|tolga|togliere) i miei dati~~ (mailing ?list|newsletter|lista|list[ae] di|indirizzario)
        (chiedo|richiedo|domando|esigo|pretendo|vorrei)~~ (cancellazione|disiscrizione|rimozione|eliminazione)~~ (newsletter|mailing|mailing ?list|lista contatti|indirizzario|lista)
        non (voglio|desidero)~ (piu )?(sapere|sentire) (piu )?(nulla|niente)
        (smetteste|smettiate|cessiate|cessaste)( di| con)?~ (mandarmi|inviarmi|scrivermi|contattarmi|spedirmi|disturbarmi|inviare|{mails})
        (cancellami|cancellatemi|cancellateci|cancellaci|disiscrivimi|disiscrivetemi|disiscriveteci|rimuovimi|rimuovetemi|rimuoveteci|toglimi|toglietemi|toglieteci|eliminami|eliminatemi|eliminateci|depennatemi|escludetemi|levatemi|levami|disabbonatemi|disabbonami)( da~~ {list}|{now}$)
        (cancellami|cancellatemi|cancellateci|disiscrivimi|disiscrivetemi|rimuovimi|rimuovetemi|rimuoveteci|toglimi|toglietemi|toglieteci|eliminatemi|eliminami|escludetemi|levatemi|levami|disabbonatemi)~ (dalla|dalle|dal|dai|dagli|da|della|delle)~ {list}
        (mi|ci) (cancelli|cancellate|cancellino|disiscriva|disiscrivete|disiscrivi|rimuova|rimuovete|rimuovano|tolga|togliete|tolgano|elimini|eliminate|eliminino|togli|cancelli pure|escluda|depenni|levi|levate)(~ (dalla|dalle|dal|dai|da|dagli|della|alla)~ {list}|{now}$)
        ({want}|potreste|potete|puo|potrebbe|puoi|potresti|bisogna|prego di|invito a|cortesemente|gentilmente|favore)~ {off}(~ {list}|{now}$)
        {off}(~ (dalla|dalle|dal|dai|da|dagli|alla|della)~ {list})
        (potreste|potete|puo|potrebbe|puoi|potresti|vogliate|voglia) (cortesemente |gentilmente |per favore |anche )?(cancellarmi|rimuovermi|disiscrivermi|togliermi|eliminarmi){now}$
        mi (potete|potreste|puo|potrebbe|puoi|potresti) (per favore |cortesemente )?(togliere|cancellare|rimuovere|disiscrivere|eliminare|levare)(~~ {list}|{now}$)
        (possibile|potrei|posso)~ (essere|venire) {offed}~~ {list}
        {want}( di| che)?( io)?~ (essere|venga|sia|venire) {offed}~~ {list}
        {want}( di)? essere {offed}{now}$
        (rimuovere|cancellare|eliminare|togliere|rimuovete|cancellate|eliminate|togliete|rimuova|cancelli|elimini|tolga|rimuovi|elimina|togli|depennare|escludere)~ {me}(~ (dalla|dalle|dal|dai|dagli|da|della|dei|nei)~ {list}|{now}$)
        (cancellazione|rimozione|disiscrizione|eliminazione|esclusione)~ ({me}|mia iscrizione)
        ({want}|richiesta di|procedere alla|procedete alla)~ (disiscrizione|cancellazione|rimozione|esclusione)~ (newsletter|mailing|{list})
        {want}~ (la )?(disiscrizione|cancellazione)( immediata)?{now}$
        ({want}|potete|potreste|favore)~ (cancellare|annullare|disdire|revocare|terminare|interrompere)~ (iscrizione|sottoscrizione|abbonamento alla|registrazione alla|invio)
        (disdico|annullo|cancello|revoco|disdire|annullare|annullate|cancellate) (la )?(mia )?(iscrizione|sottoscrizione)~ {list}
        non (voglio|desidero|intendo|vorrei|vogliamo|desideriamo|gradisco|intendiamo|vorremmo)( piu)?( in alcun modo)? (ricevere|riceverne|ricevervi|avere|essere contattat[oai]|essere disturbat[oai]|leggere|vedere){of}( {mails}| da voi|{now}$)
        non (voglio|desidero|intendo|vorrei|vogliamo|gradisco)( piu)?{of} {mails}
        non (voglio|desidero|intendo|vorrei|vogliamo) (piu )?(essere|venire|venir|restare|rimanere|stare|figurare)( piu)? (contattat[oai]|disturbat[oai]|importunat[oai]|iscritt[oa] a~ {list}|nella~ {list})
        {want}( di)? non (ricevere|riceverne|ricevere piu|essere|venire|avere)~ ({mails}|contattat[oai]|disturbat[oai])
        non (scrivetemi|scrivermi|scriverci|contattatemi|contattarmi|contattarci|mi (scrivete|scriva|scrivere|contattate|contatti|contattare|contatti piu|scrivi)|disturbatemi|importunatemi|mi disturbate|ci scrivete|ci contattate|mi rompete|mi cercate)
        non (mandatemi|mandarmi|mandateci|inviatemi|inviarmi|inviateci|inviarci|spediteci|speditemi|speditemi|mi (mandate|inviate|mandi|invii|inviare|mandare|spedite|mandi|arrivino)|ci inviate){of}( {mails}|{now}$)
        (smettetela|smettete|smetti|smettila|smetta|smetterla|piantatela|piantala|finitela|cessate|cessi|cessare|finiscila)( immediatamente| subito| per favore)?( con| di| d| coll| l)?~ (mandarmi|inviarmi|scrivermi|contattarmi|spedirmi|tempestarmi|disturbarmi|importunarmi|spammare|mandare|inviare|invio|{mails})
        (vi diffido|diffido|la diffido|vi invito|invito|intimo|vi intimo|astenetevi|astenersi|si astenga|vi chiedo di astenervi)( formalmente)?( dal| dall| a| dallo)?( non)?~ (inviarmi|mandarmi|contattarmi|scrivermi|invio|inviare|contattare|ulteriori {mails}|{mails})
        (mi oppongo|ci opponiamo|mi opporro|oppongo|opponiamo|opporsi|oppormi)~~ {purpose}
        mi oppongo~ (all|alla|al)~ (invio|uso|utilizzo|ricezione)~~ ({mails}|dati)
        (opposizione|oppormi|opporsi)~~ {purpose}
        (esercito|esercitare|intendo esercitare|avvalgo)~ (diritto|opposizione)~ (opposizione|opporre|oppormi|opt out)
        (revoco|ritiro|revochiamo|ritirare|revocare|revoca|nego|disconosco|annullo)( con la presente| formalmente| immediatamente| ogni)?( il| al| del| dei| ogni| qualsiasi| i| la)?( mi[oe]i?| nostro| mia)?~ (consenso|consensi|autorizzazione|adesione)
        (consenso|autorizzazione)~ (revocat[oa]|ritirat[oa])
        non (presto|do|acconsento|autorizzo|autorizziamo|concedo|ho autorizzato e)( piu)?( il| al| all| l| alla)?~~ ({purpose}|invio|{mails})
        non (usate|utilizzate|trattate|usi|utilizzi|usare|utilizzare|trattare)( piu)? i miei~~ {purpose}
        (vi prego di|prego di|chiedo di|vi chiedo di|pregasi di|favore di|pregovi di|le chiedo di) non (scrivermi|contattarmi|inviarmi|mandarmi|disturbarmi|inviare|mandare|utilizzare|usare)~ (piu|{mails}|dati|alcun[ao]?)
        (vi prego di|prego di|chiedo di|vi chiedo di) non (scrivermi|contattarmi|disturbarmi)
        (interrompete|interrompere|sospendete|sospendere|bloccate|bloccare|cessare|fermate)~ (invio|invii|spedizione|{mails})
        (lasciatemi|lasciami) (in pace|stare)
    """,
    standalone_objection_phrases="""
        smettetela|smettila|la smetta|piantatela
        mi oppongo
        stop( alle| con le| con| a| alla| ai| allo)?( {mails})?
        basta( con)?{of}( {mails})?
        (cancellami|cancellatemi|cancellarmi|cancellateci|disiscrivimi|disiscrivetemi|disiscrivermi|disiscrivere|disiscrivi|rimuovimi|rimuovetemi|rimuovermi|toglimi|toglietemi|togliermi|eliminami|eliminatemi|eliminarmi){of}( {list})?
        (richiesta di |richiesta |richiedo |chiedo |desidero |voglio |vorrei )*(la )?(disiscrizione|cancellazione|rimozione|opt out|revoca|disiscrivermi|cancellarmi)( del)?( mio)?( consenso| iscrizione)?{of}( {list})*
        (cancellare|disdire|annullare|disdetta|annulla|cancella|annullamento)( la)?( mia)?( della)? (iscrizione|sottoscrizione|newsletter){of}( {list})?
        (niente|nessuna|nessun|no)( piu| altr[aeio])?{of} {mails}
        non mi interessa(no)?( piu)?{of} {mails}
        (rimuovere|rimuovi|rimozione|togliere|cancellare|cancella){of} ({list}|indirizzo|iscrizione|e ?mail)
        opposizione( al| all| alla)?( trattamento| invio| marketing)*( dei dati)?( per)?( finalita)?( di)?( marketing)?
        unsubscribe|opt out|revoca( del)? consenso|non disturbare|lasciatemi in pace
    """,
    courtesy_phrases="""
        per favore|per piacere|perfavore|per cortesia|grazie( mille| anticipatamente| infinite)?|prego|cortesemente|gentilmente
        subito|immediatamente|se possibile|quanto prima|al piu presto|cordialmente|scusate|scusi
        se non vi dispiace|se fosse possibile|con effetto immediato|(vi |le )?sar(ei|emmo) grat[aoi]( ,)? se|apprezzerei se|pf|pls|ringrazio|vi ringrazio|la ringrazio
    """,
    greeting_phrases="""
        buongiorno|buon giorno|buonasera|buona sera|salve|ciao|gentil[ei]|spett(abile|le)?|egregi[oa]?
        car[oaie]|signor[ei]|signora|spettabile ditta|alla cortese attenzione|hello|hi
    """,
    farewell_phrases="""
        (cordiali|distinti|i miei migliori|un|tanti|cari) salut[oi]|saluti|cordialmente|in fede|grazie|cordialita
        distintamente|buona giornata|buon lavoro|arrivederci|un saluto
    """,
    negation_phrases="non|senza|mai|nemmeno|neanche|invece di|anziche|piuttosto che|evitare di|prima di",
    gap_stop_words="non|senza|mai|ne",
    question_phrases="""
        come|perche|quando|cosa|dove|chi|quale|quali|quanto|che succede|cosa succede|devo|posso|e possibile sapere
        mi avete|avete|vi siete|funziona|bisogna|basta
    """,
    reported_speech_phrases="""
        (collega|amic[oa]|moglie|marito|capo|cliente|lui|lei|loro|clienti|utente|utenti) (vuole|vorrebbe|vogliono|ha chiesto|ha detto|chiede|dice)
        clicca(re)? qui|clicchi qui|fai clic|qui per|in qualsiasi momento|in ogni momento|link (per|qui|sotto)|pulsante|c e scritto|dice che
    """,
    conjunctions="e|ed|quindi|percio|pertanto|perche|ma|o|oppure|inoltre|poiche|come",
    polite_question_phrases="""
        (potete|potreste|puo|potrebbe|puoi|potresti|vi dispiace|le dispiace|vi spiace|sarebbe possibile|e possibile|posso chiedervi|posso chiederle|vogliate|vuole|volete)
        per favore|per cortesia|per piacere|gentilmente|cortesemente|grazie
    """,
    condition_phrases="se|qualora|finche|fino a quando|nel caso|a meno che|purche|quando (la|il|avro|sara|ricevo)|dopo (la|il|che)",
    third_party_phrases="""
        colleg(a|hi|he)|amic[oa]|moglie|marito|madre|padre|figli[oa]|sorella|fratello|capo|client[ei]|otheraddress
        perdere|perdermi|perderla|perderle|ordin[ei]|fattur[ae]|consegn[ae]|pacc(o|hi)|spedizione|appuntament[oi]|prenotazion[ei]|rimborso|pagament[oi]
        contratto|assicurazione|netflix|facebook|linkedin|amazon|spotify|instagram|attesa|cookies?|webinar|corso|evento
        telefono|telefonate|telefonicamente|chiamate|rivista|ricevut[ae]|password|abbonamento a|gruppo|chat|sky
    """,
    keep_mail_phrases="""
        (voglio|vorrei|desidero|preferisco|vorremmo)( solo| ancora| comunque| invece| pero| continuare a| tornare a)? (continuare|mantenere|restare|rimanere|tenere|ricevere|riattivare|riceverla|riceverle|iscrivermi|reiscrivermi|abbonarmi)
        (mantenete|mantenere|tenete|tenetemi|lasciate|continuate|conservate|mantenga|continuare a ricevere)( pure| solo| la| le| il| a| quella| quelle| l| attiv[ao]| invece)?
        ma (non|solo|mantenete|lasciate|tenete|vorrei|voglio|desidero|quella|quelle|continuate|tenetemi|quanto|mi interessa)
        (solo|soltanto|solamente|unicamente) (dalla|dalle|dal|da|la|le|quella|quelle|quello|il|i|per|cambiare|una|alla|di|modificare)
        (?<=, )(solo|soltanto)|tranne|eccetto|a parte|salvo|ad eccezione|con l eccezione|invece della|meno spesso|meno (e ?mail|mail)
        (iscrivetemi|iscrivimi|riscrivetemi|reiscrivetemi|reinserirmi|reinseritemi|reiscrivermi|riscrivermi|riattivare|riattivate|inseritemi|aggiungetemi|iscriversi|iscrivermi)
        (cancellat[oa]|disiscritt[oa]|rimoss[oa]|tolt[oa])~ (per sbaglio|per errore|erroneamente|senza volerlo|accidentalmente)
        (per sbaglio|per errore|erroneamente) (cancellat[oa]|disiscritt[oa]|rimoss[oa]|mi sono (cancellat[oa]|disiscritt[oa]))
        cambiare (il mio )?(indirizzo|e ?mail|mail)|ho cambiato idea|ci ho ripensato|scherz(o|avo)|di nuovo la
        (mi (piace|piacciono)|adoro|amo)( molto| tanto| moltissimo)? (la|le|il|i|vostr[aeio])|sono felice di ricevere
    """,
    further_request_phrases="""
        copia|accesso a|accedere|art 15|articolo 15|art 17|articolo 17|ordine|fattura|rimborso|reclamo
        (cancella|cancellate|cancellare|elimina|eliminate|eliminare|cancellazione|eliminazione|distruggere)~~ (?<!banca )(?<!banche )(?<!base )dati
        avvocat[oi]|legale|legali|garante|denuncia|segnaler[oa]|segnalazione|conferma|confermare|confermate
        dove avete|come avete|chi vi ha|fatemi sapere|fammi sapere|vie legali|telefono
    """,
    remark_phrases="""
        mai (iscritt[oa]|richiest[oa]|autorizzat[oa]|chiest[oa]|dato|registrat[oa])|non mi sono (mai )?iscritt[oa]
        trop(po|pe|pi)|non (mi interessa|sono interessat[oa]|ho chiesto|ho richiesto)|spam|ogni (giorno|settimana)
        (gia|ennesima|terza|seconda) (volta|chiesto|richiesto)|grazie|stuf[oa]|ultimo avviso|fastidios[oe]
        come faccio a dir(velo|telo|glielo)
    """,
)
