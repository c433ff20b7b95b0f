"""French."""

from preference_center.inbound.rules.objections.language import ObjectionLanguage

FRENCH = ObjectionLanguage(
    code="fr",
    placeholders={
        "me": "moi|nous|{address}",
        "address": "(mon|cette|notre) (adresse|e ?mail|mail|courriel|nom|contact)( (e ?mail|mail|electronique|courriel|de messagerie))?|mes (coordonnees|donnees de contact)|myaddress",
        "mails": "e ?mails?|mails?|courriels?|news ?letters?|news|lettres?( d information)?|messages?|publicites?|pubs?|offres|spams?|promos?|promotions?"
        "|informations?|infos?|sollicitations?|communications?|mailings?|prospection|demarchage|envois?|publipostages?|bulletins?|courriers?|rien|actualites?|annonces?|marketing|publicitaires?",
        "list": "listes?|fichiers?|bases?|base de donnees|listing|mailing ?lists?|diffusion|abonnes|contacts|registres?|systemes?|destinataires|{mails}",
        "now": "( svp| stp| s il vous plait| merci| immediatement| tout de suite| rapidement| au plus vite| des que possible| definitivement| d urgence)*",
        "any": "( de| d| des| du| la| le| les| l| a| aux?| vos| votre| vous| cette?| ces| ce| immediate?| toutes?| tous| tout| aucune?s?| autres?| par| tes| ton| ta| nouvelles?| quelconques?| type| genre| sorte| futures?| leurs?| vos differentes)*",
        "off": "(desinscrire|desabonner|retirer|supprimer|enlever|rayer|radier|exclure|effacer|desinscription|desabonnement|oter|sortir|virer)",
        "offed": "(desinscrite?s?|desabonnee?s?|retiree?s?|supprimee?s?|enlevee?s?|rayee?s?|radiee?s?|exclue?s?|effacee?s?)",
        "want": "(veux|voudrais|souhaite|souhaiterais|desire|desirerais|demande( a)?|aimerais|exige|prie( de)?|vous prie( de)?|voulons|souhaitons|demandons|tiens a|entends|prefere|prefererais)",
        "imp": "(desinscrivez|desinscris|desinscrire|desabonnez|desabonne|desabonner|retirez|retire|retirer|supprimez|supprime|supprimer|enlevez|enleve|enlever|rayez|radiez|effacez|otez|sortez|virez|excluez)",
        "stop": "(arretez|arrete|arreter|arretiez|cessiez|cessez|cesse|cesser|stoppez|stopper|stop)",
        "purpose": "(prospection|marketing|publicitaires?|publicite|commerciales?|commerciaux|commercial|profilage|promotionnel(s|le|les)?|demarchage|newsletters?|donnees|sollicitations?|publipostage)",
        "consent": "(consentement|accord|autorisation|consentements|permission)",
    },
    objection_phrases="""
        (souhaite|veux|voudrais|demande)~ (arreter|stopper|cesser)~~ (newsletters?|mails|e ?mails|envois?|abonnement)
        (supprimez|supprimer|effacez|effacer|retirez|retirer)~ mes (donnees|coordonnees)~~ (liste|listes|fichiers?|newsletter)
        ((ne |n )?(suis|sommes|serai) )?(plus|pas) interessee?s? a recevoir{any} {mails}
        {imp} {me}(~ (de|des|du|d)~ {list}|{now}$)
        (me|nous|m) {off}(~ (de|des|du|d|a|aux?|dans)~ {list}|{now}$)
        (je|nous|j) ?{want}~ (etre|me|nous) ({off}|{offed})(~ {list}|{now}$)
        (je|nous) {want}~ que (vous )?(me|mon adresse|soit)~ (retir|supprim|desinscri|enlev|desabonn)[a-z]+
        (retirer|supprimer|enlever|effacer|rayer|retirez|supprimez|enlevez|effacez|retrait|suppression|radier)( immediatement| definitivement| svp| de| d)* {address}(~~ (de|des|du|d)~ {list}|{now}$)
        (merci|veuillez|prie|prions|pouvez vous|pourriez vous|possible)( de| d| bien| vouloir| donc| vous| immediatement| noter)* (me |nous )?(desinscrire|desabonner|desinscription|desabonnement|ma desinscription|mon desabonnement)
        (je|nous)( vous)? {want}~ (ma|mon|la|le|une?|notre) (desinscription|desabonnement|retrait|radiation)
        (proceder|procedez)~ (ma|mon|notre) (desinscription|desabonnement|retrait|radiation)
        (je|nous) (me |nous )?(desinscris|desabonne|desinscrivons|desabonnons)~ {list}
        (resilier|annuler|resiliez|annulez|resilie|annule|arreter)( mon| mes| l| notre)? (inscription|abonnement)s?( a| aux?| de| d)~ (newsletter|liste|mails|lettre|e ?mails|{mails})
        (je|nous|j)?~ ne {want}? ?(plus|pas|jamais)( jamais)?( du tout)? (recevoir|avoir|etre contacte[a-z]*|etre sollicite[a-z]*|etre demarche[a-z]*|etre derange[a-z]*|etre importune[a-z]*|voir|lire|entendre parler|figurer|faire partie|etre inscrit[a-z]*|etre abonne[a-z]*|etre sur)
        (je|j|on|nous)( ne)? (veux|veut|voulons|souhaite|souhaitons|desire|souhaiterais) (plus|pas|plus jamais)( recevoir| avoir| etre contacte[a-z]*| de recevoir){any}( {mails}|{now}$)
        ne {want} plus{any} {mails}
        (je|nous|j)( vous)? {want}( a| de)? ne (plus|pas)( jamais| rien)?( plus)? (recevoir|etre|avoir|figurer|utiliser|m envoyer|me contacter|m ecrire)
        (n ai|n avons) (plus|pas|aucune) envie de (recevoir|lire|voir|vos)
        ne (pas|plus|jamais)( plus)? (m|me|nous) (envoyer|ecrire|contacter|solliciter|deranger|importuner|adresser|demarcher|spammer|relancer)
        ne (pas|plus|jamais)( plus)? (envoyer|adresser|utiliser)~~ ({mails}|prospection|publicitaires|commerciales|mon adresse|donnees)
        n? ?(e )?(m|me|nous) (envoyez|ecrivez|contactez|sollicitez|envoie|ecris|ecrive|adressez|demarchez|derangez|importunez|relancez|spammez) (plus|pas|jamais|aucun|aucune|rien)
        {stop}( immediatement| tout de suite| svp| definitivement| s il vous plait)?( de| d)? (m|me|nous) ?(envoyer|ecrire|contacter|solliciter|spammer|harceler|importuner|adresser|demarcher|deranger|inonder|bombarder|polluer|relancer)
        {stop}( immediatement| tout de suite| svp| definitivement)?( avec| de m envoyer| d envoyer| l envoi| tout envoi| tous)?{any} ({mails}|envoi)
        (m oppose|nous opposons|oppose|m opposer|opposition|nous opposer|opposons)~~ {purpose}
        m oppose (a|au|aux)~~ ({purpose}|utilisation|traitement|envoi|{mails})
        (exerce|exercer|exerçons|valoir|user de)~ droit (d|a l|a) ?opposition
        (retire|retirer|revoque|revoquer|retirons|revoquons|annule|reprends)( par la presente| donc| formellement| immediatement)?( mon| le| tout| notre| ma| mes)?~ {consent}
        {consent}~ (retire|revoque|annule)
        (ne|n)( vous)? (autorise|autorisons|permets|donne|donnons|avez|ai|ai jamais)( pas| plus| jamais| donne| aucun| aucune)*( de| mon| ma| l| a)*( {consent})?~~ ({purpose}|{mails}|publicitaires?)
        (n autorise|n accepte|ne consens|n autorisons|interdis|refuse|refusons|m interdis)( plus| pas)?( a| de| l| d| toute?| que)?~~ ({purpose}|{mails})
        (interdis|interdisons|interdiction)~~ {purpose}
        ((ne |n )?(suis|sommes|serai) )?(plus|pas) interessee?s? par( vos| votre| ces| cette| la)? (newsletters?|mails|e ?mails|offres|publicites|communications|courriels|{mails})
        (oubliez|laissez) moi( tranquille| en paix)
        (cesser|cessez|cesse)~ (tout|toute|tous|vos|l) (envoi|envois|sollicitation|prospection|communication|contact|{mails})
    """,
    standalone_objection_phrases="""
        plus jamais( de)?{any} {mails}( de votre part)?
        ne plus recevoir{any}( {mails})?
        assez|ca suffit
        stop( a| aux| a la| les| la| au)?( {mails})?
        (je |nous )?({want} |de |a |pour )*(me |se |etre |nous )?(desinscrire|desinscrite?|desabonner|desabonnee?|desinscription|desabonnement|desinscrivez|desinscris|desabonnez|radiation|desabo){any}( {list})?{any}( {list})?
        (demande de )?(desinscription|desabonnement|retrait|resiliation|suppression|radiation){any}( {list})?{any}( {list})?
        (plus|pas|non|assez|ras le bol|marre)( a| aux| de)?{any} {mails}
        (retirer|supprimer|retirez|supprimez|enlever){any} ({list}|{address})( de| du| des)?{any}( {list})?
        (arreter|arretez|cessez|annuler|resilier){any} (newsletter|{mails}|abonnement|inscription){any}( {list})?
        (opposition|droit d opposition|retrait)( a| au| de| du| mon| la| l)*( {purpose}| {consent})?
        unsubscribe|opt out|lachez moi|fichez moi la paix|laissez moi tranquille|foutez moi la paix
    """,
    courtesy_phrases="""
        s il vous plait|s il te plait|sil vous plait|svp|stp|merci( d avance| beaucoup| par avance| bien| de votre comprehension)?|par avance|immediatement
        si possible|si c est possible|au plus vite|des que possible|dans les plus brefs delais|cordialement|desolee?|tout de suite|pardon
        bien vouloir|(serais|serai) (tres )?reconnaissante? (si|de)|apprecierais (si|que)|si cela ne vous derange pas
    """,
    greeting_phrases="bonjour|bonsoir|madame|monsieur|mesdames|messieurs|chere?s?|salut|hello|coucou|a qui de droit|bjr",
    farewell_phrases="""
        cordialement|bien (cordialement|a vous)|cdlt|sinceres? salutations?|salutations|bonne (journee|soiree|reception)|merci|sincerement|respectueusement
        (veuillez agreer|je vous prie d agreer)|a bientot|bien cdt
    """,
    negation_phrases="ne|n|pas|jamais|sans|plutot que|au lieu de|avant de|inutile de|surtout pas|eviter de",
    gap_stop_words="ne|pas|jamais|sans|n",
    question_phrases="comment|pourquoi|quand|que|quoi|ou|qui|quels?|quelles?|combien|est ce que si|puis je|dois je|avez vous|faut il|qu est ce|a t|savoir",
    reported_speech_phrases="""
        (collegue|ami[e]?|femme|mari|patron|client|clients|il|elle|ils) (veut|souhaite|voudrait|veulent|a demande|dit|demande)
        cliquez (ici|sur)|cliquer (ici|sur)|a tout moment|lien (de|pour|ci dessous|en bas)|bouton|il est ecrit|ici pour
    """,
    conjunctions="et|donc|car|mais|ou|puis|ainsi que|aussi",
    polite_question_phrases="""
        (pouvez|pourriez|peux|pourrais|voulez|voudriez|veuillez)( vous| tu| bien)?|serait il possible|est il possible|est ce possible|puis je vous demander
        est ce que vous (pouvez|pourriez)|vous (pouvez|pourriez)|merci|svp|s il vous plait|auriez vous
    """,
    condition_phrases="si|s il|lorsque|quand|tant que|jusqu a|au cas ou|a moins|apres (ma|la|le|mon)|des que",
    third_party_phrases="""
        collegue(s)?|amie?s?|femme|mari|mere|pere|fils|fille|soeur|frere|patron|client(e|s)?|otheraddress|la retirer|le retirer
        manquer|rater|louper|commandes?|factures?|livraisons?|colis|rendez vous|reservations?|remboursement|paiement|contrats?|assurance|netflix|facebook|linkedin|amazon
        spotify|instagram|attente|cookies?|webinaire|formation|evenement|telephone|telephonique|appels?|magazine|mot de passe|recus?|canal|orange|groupe|mme
    """,
    keep_mail_phrases="""
        (je|nous) (veux|voudrais|souhaite|desire|prefere|aimerais|souhaiterais)( bien| encore| toujours| seulement| juste| continuer a| a nouveau)? (garder|continuer|conserver|rester|maintenir|recevoir|m inscrire|m abonner|me reinscrire|me reabonner|changer|reprendre)
        (garder|gardez|conserver|conservez|maintenir|maintenez|continuer a recevoir|continuez|laissez moi abonne|laisser)
        mais (pas|garder|gardez|conserver|seulement|uniquement|je (veux|souhaite|voudrais|garde|reste)|combien|continuez|laissez|celle|celui|la)
        (seulement|uniquement|juste|simplement) (de|du|des|la|le|les|l|pour|changer|a|cette|d adresse|d)
        (?<=, )(seulement|uniquement)|sauf|excepte|hormis|a l exception|a part|au lieu|plutot que|moins souvent|moins de (mails|courriels|mail)
        (reinscrire|reinscrivez|reabonner|reabonnez|inscrivez moi|inscrire moi|m inscrire|m abonner|abonnez moi|ajoutez moi|reactiver|remettez moi|de nouveau|a nouveau)
        (desinscrite?|desabonnee?|supprimee?|retiree?)~ (par erreur|par megarde|sans le vouloir|accidentellement)
        (par erreur|par megarde|accidentellement)~ (desinscrite?|desabonnee?|clique|retiree?)
        changer d (adresse|avis|e ?mail)|changement d adresse|je plaisante|change d avis
        (j |je )?(adore|aime|apprecie)( beaucoup| bien| vraiment| lire| recevoir)* (vos|votre|la|les|cette)|me reabonner
    """,
    further_request_phrases="""
        copie|acces a|droit d acces|article 15|art 15|article 17|art 17|commande|facture|remboursement|reclamation|plainte|avocat|cnil|poursuites?|confirmer|confirmez|confirmation
        (supprim|effac|detrui)[a-z]*~~ ((?<!base de )(?<!bases de )donnees|compte)|comment avez vous|qui vous a|d ou (vient|avez|tenez)|appeler|appelez|rappeler|effacement|tenez moi au courant|dites moi|telephone
    """,
    remark_phrases="""
        jamais (inscrite?|abonnee?|demande|sollicite|autorise|donne|consenti|accepte)|ne (me suis|suis) (jamais|pas) (inscrite?|abonnee?)|n ai (jamais|pas|rien) (demande|souscrit|autorise)
        trop de|trop|pas interessee?|spam|tous les jours|chaque (jour|semaine)|deja (demande|dit|ecrit)|eni?eme|derniere|merci|marre|assez|ne m interesse(nt)? (pas|plus)|pollu
    """,
    trailing_negation_phrases="(surtout )?(pas)",
)
