"""English."""

from preference_center.inbound.rules.objections.language import ObjectionLanguage

ENGLISH = ObjectionLanguage(
    code="en",
    placeholders={
        "me": "me|us|myself|ourselves|{address}",
        "address": "myaddress|this (e ?mail )?(address|account)|(my|our) (e ?mail )?addresse?s?"
        "|(my|our) (e ?mail )?account from|(my|our) (e ?mails?|name|contact)( details)?",
        "mails": "e ?mails?|mails?|e ?mailings?|mailings?|news ?letters?|messages?"
        "|communications?|correspondence|adverts?|advertisements?|ads?|advertising|marketing"
        "|promotions?|promos?|promotional materials?|offers|deals|spam|junk|updates?|bulletins?"
        "|solicitations?|notifications?|digests?|crap|e ?blasts?|blasts|texts?|sms|rubbish",
        "list": "lists?|databases?|mailing|mailings|maillist|records|distribution|files?|systems?"
        "|contacts|crm|everything|{mails}",
        "any": "( any| all| more| further| future| your| ur| these| this| those| the| such| out"
        "| any ?more| unsolicited| unwanted| marketing| promotional| commercial| electronic| direct"
        "| weekly| daily| e ?mail| of| other| company| sales| advertising| more of| kind| damn)*",
        "i": "i|we",
        "want": "want|wish|like|need|ask|asking|request|requesting|require|demand|prefer|trying"
        "|tried|love|insist|choose|intend|have decided|elect",
        "no": "do not|dont|don t|never|pls don t|wont|can you not",
        "soon": "( please| now| asap| immediately| today| at once| right away| straight away| thanks"
        "| permanently| completely| forever| for good| effective immediately| again| this instant)*",
        "purpose": "marketing|advertising|advertisements?|processing|profiling|solicitation"
        "|prospecting|promotional|promotions|newsletters?|e ?mails?|(my|our)~ (data|information)",
    },
    objection_phrases="""
        ({i}|and|but|so)~ (do not|don ?t|no longer) need{any} (e ?mails?|mails|mailings?|news ?letters?|spam|marketing|advertising)
        ({i}|do|does) (no longer|not) consent to~~ {mails}
        stop (these|those|this|your|all)( [a-z]+)? {mails}$
        (sure|ensure|confirm)( that)? {address} (is|gets|will be) (removed|deleted|taken off|unsubscribed)
        (process|honou?r|accept|register|action|submit|record)~ (opt out|unsubscribe|unsubscription|removal|objection)( request)?
        (want|wish|would like|d like|get|be) {me}?( ?)off~ (mailing list|list|newsletter|distribution list)
        (can|could|may|how) (i|we) get off~ {list}
        {i} (want|wish|would like|d like) no (more|further){any} ({mails}|contact)
        (request|requesting|demand)~ (removal|deletion|unsubscription|to unsubscribe)~~ (from|of)~ {list}
        (unsubscribe|unsub|deregister|unregister|opt out|de subscribe|desubscribe) {me}
        opt {me} out
        (get|have) {me} (unsubscribed|removed)
        {i}( am| m)?( would| d)?~ {want} to( be)? (unsubscribed?|unsub|opted out|unlisted)
        {i}( am| m)?( would| d)?~ {want} to (stop|cease|quit) (receiving|getting|these|your|the)
        {i}( am| m)?( would| d)?~ {want} to be (removed|taken off|deleted|excluded|dropped|left off|off)(~ {list}|{soon}$)
        {i}( am| m)?( would| d)?~ {want} (that )?(you )?(to )?(remove|delete|unsubscribe) {me}
        ({i}|hereby|am|choose to|wish to|want to|like to)~ (opt out|opting out)( of{any} {list}|{soon}$)
        (remove|take|delete|drop|strike|erase|scrub|exclude|pull|get|leave|kick|wipe|cut) {me}( please| pls)?( off| out)?( of)?~ (from|off|of|out)~~ {list}
        (remove|delete|drop|unlist) (me|us|myaddress|this e ?mail address|my e ?mail address|my address|my name){soon}$
        take (me|us|myaddress|my e ?mail|my name) (off|out)( of (it|this|that|there))?{soon}$
        (mind|consider|appreciate|appreciate you|request|grateful for|insist on|about) (removing|unsubscribing|taking|deleting) {me}(~~ {list}|{soon}$| off)
        (stop|quit|cease) (e ?mailing|mailing|contacting|spamming|messaging|texting|bothering|harassing|bombarding|pestering|bugging|soliciting|annoying|flooding|writing|writing to|targeting) ({me}|{soon}$)
        ((?<!to )|(?<=you to ))(stop|quit|cease|discontinue|halt) (sending|sending out|the sending of)( {me})?{any} {mails}
        (stop|quit|cease|discontinue) sending( {me})?( all)? (this|these|those|them|it|stuff|things|anything|any ?more){soon}$
        stop{any} {mails}( (to|at) ({me}|this~ address))?{soon}$
        stop all~ {mails} (to|at) ({me}|this~ address)
        {no} (ever |please )?(e ?mail|contact|message|spam|bother|write|write to|send to|solicit) {me}
        {no} (ever |please )?send( {me})?{any} {mails}
        {no} (ever |please )?send( {me})? (any ?thing( else| more| further)?|any ?more|these|this|stuff|such things){soon}$
        no longer (send|e ?mail|contact|write to) {me}
        {i} (do not|don ?t|no longer|never|did not|didn ?t)( ever| really| even| simply)?( again)? (want|wish|care|ask)( to| for)?( be)?( continue)?( receive| receiving| get| getting| see| seeing| have| hear about| having| sent)?( from you)?{any} {mails}
        {i} (do not|don ?t|no longer)( ever| really)? (want|wish|care) to (hear from you|hear from your|be contacted|be e ?mailed|be on{any} {list}|be part of{any} {list}|be subscribed|receive (any ?thing|these|this|it))
        ({i}|would|d|who)~ (prefer|rather|wish|like|choose|ask|want|request)( not)?( to)? not( to)? (to )?(receive|get|be contacted|be e ?mailed|be on|be mailed|be sent)
        (not|no longer) (wish|wishing|want|wanting|interested in) (to )?(receive|receiving|get|getting|subscribing|being on){any} {list}
        no longer interested in{any} {mails}
        not interested in( receiving| getting){any} {mails}
        (cancel|end|terminate|discontinue) (my|our|this)( e ?mail| newsletter| mailing| mail| marketing)+ (subscription|subscriptions|membership)
        (cancel|end|terminate|discontinue) (my|our|this) (subscription|subscriptions)( to| for){any} {mails}
        (cancel|discontinue)( sending)?( {me})? (my|our|this|these|the|your|all)( e ?mail| free)* (news ?letters?|mailings?|e ?mails|promotional e ?mails)( to {me})?$
        ({i}|hereby)~ (object|objecting) to~~ {purpose}
        ((do|does) not|don ?t|never|not)( give| gave| grant| have)*( you)?( my| any| your| our)* (permission|consent|authoris?z?ation)( to| for)~~ ({mails}|{purpose})
        objection~~ (to|against)~ (direct marketing|marketing|advertising|processing)
        (object|objection) to (the|all|any|your)?~~ (for|direct|as)~ (marketing|advertising)
        (exercise|exercising|invoke|invoking|asserting|using)~ right to (object|opt out|withdraw)
        ({i}|hereby|we are|i am)~ (withdraw|revoke|rescind|retract|withdrawing|revoking|rescinding)( my| our| any| all| the| previous| prior| given| this| express| implied| earlier| marketing| that)* (consent|consents|permission|authoris?z?ation|opt in)(?! form)
        (withdraw|revoke|rescind) (my|our)( previous| marketing| prior)* (consent|permission)(?! form)
        (my|our|any|all) (consent|permission)~ (is|are) (hereby |herewith )?(withdrawn|revoked)
        ({no}|stop|cease) (use|using|process|processing) (my|our)~~ (marketing|advertising|promotional|promotions|mailings)
        (cease|desist|refrain|abstain)( and desist)?( from)?( all| any| further| sending| your)*( {me})?{any} (contacting|e ?mailing|contact|{mails})
        ({i}|would)~ (want|like|get|ask)~ off (of )?(your|this|the|that|all)~ {list}
        (you|company) (may|must|are) (no longer|not) (allowed to |permitted to |authorised to |authorized to )?(contact|e ?mail|send|use)~~ (me|us|marketing|advertising|{mails})
        you (may|must|do|are|should) (no longer|not) have~ (consent|permission)~~ {mails}
        (can|could|may|might|possible|able|like) (i |we )?(please |to )*be (removed|taken off|unsubscribed|deleted|opted out)(~~ {list}|{soon}$)
        (cease|stop|end|discontinue)~ processing
        (and|but|so|so i) (do not|don ?t|no longer) (want|wish to receive|wish to get){any} {mails}
        (sure|ensure)( that)? {i} (do not|don ?t|no longer|never) (receive|get){any} {mails}
        ({i}|would)~ want out of~ {list}
        (remove|delete|take|strike) (my|our) (contact )?(details|data|info|information)~ (from|off|out of)~ {list}
        (take|regard|consider|treat) this~ as~ (objection|unsubscribe|opt out|withdrawal|unsubscription)
        (please|pls|kindly|just|now|and) (unsubscribe|opt out) (from|of){any} {list}
    """,
    standalone_objection_phrases="""
        (no longer|not) (wish|want|wishing|wanting) to be on~ {list}
        (request|requesting|asking) to (unsubscribe|opt out)(~ {list})?
        no (more|further) (contact|of these|of this)
        stop( it| this| these| that| now| all| please| pls)*( {mails})?
        stop{any} {mails}( to {me})?
        (i (want|would like|d like|wish|need) to |wanna |to )?(be )?(unsubscribed?|unsub|unsubscription|unsubscribing|unsubscribe request)( (me|us))?( (from|off|to|of){any}( {list})?)?{soon}
        un subscribe( me)?
        (opt|opting|opted)( (me|us))? out( (from|of){any} {list})?( request)?{soon}
        optout( request)?
        (remove|delete|take off|take me off|remove me|removal|removal request)( from{any} {list})?{soon}
        (remove|removal) (of|from)( my| our| your| the| this)*( e ?mail)? (address|mailing list|list)
        (cancel|end|terminate|discontinue)( my| this| the| all)*( e ?mail| newsletter)* (subscription|subscriptions|newsletter|newsletters|mailings|e ?mails)( to{any} {mails})?
        no (more|further){any} {mails}( from you)?
        leave (me|us) alone
        enough( (with|of)( the| your| these| all)*( {mails})?)?
        (list )?(unsubscribe|removal|opt out)( from)?( request)?( newsletter| mailing list| marketing)?
        (gdpr |formal )?(objection|objection to)( (to|against)( direct)?)? (marketing|direct marketing|advertising)
        withdrawal of( my)?( marketing)? consent
        {no} (e ?mail|contact|spam|bother)( {me})?( again)?
    """,
    courtesy_phrases="""
        please|pls|plz|kindly|thanks|thank you|thx|many thanks|cheers|ta|sorry|thanks a lot
        thank you very much|thanks in advance|thank you in advance|if possible|asap|thank u
        if you (please|would|could|don ?t mind|wouldn ?t mind)|if that s possible|ok|okay
        (would )?(really )?(appreciate|be grateful|be great|love)( it)? if|with immediate effect|immediately|effective immediately|today|at once|right away|just
    """,
    greeting_phrases="""
        hi|hello|hey|dear|good (morning|day|evening|afternoon)|to whom it may concern|greetings
        hiya|sir|madam|ladies
    """,
    farewell_phrases="""
        (kind|best|warm|warmest|many|with kind|with best)? ?(regards|wishes)|rgds|cheers|sincerely
        yours( sincerely| faithfully| truly)?|best|thanks|thank you|many thanks|respectfully|br|kr
    """,
    negation_phrases="""
        not|don ?t|doesn ?t|didn ?t|never|can ?t|cannot|won ?t|wouldn ?t|shouldn ?t|without
        sad|shame|no need|no reason|rather than|instead of|nobody|hate to|afraid|before|instead
    """,
    gap_stop_words="not|never|dont|don|won|no|nor|neither",
    question_phrases="""
        how|why|what|when|whether|where|who|which|does|did|has|have you|was|were|is there
        do you|are you|if i|wonder|wondering|curious|should i|do i|can i|may i ask|after|before|once
    """,
    reported_speech_phrases="""
        (you|they|he|she|it|button|link|mail|e ?mail|footer|it) (says?|said|reads|wrote|writes)
        (told|asked) (them|him|her|you guys)|(colleague|friend|wife|boss|husband|customer|client|he|she|they|people|users|someone) (wants?|wanted|asked|asks|said|says|would)
        (update|manage|edit|change)( your| my)? preferences|view in browser|forward to a friend|privacy policy|click here|here to|to click|the option to|this link|link below|view (this|in)|at any time
    """,
    conjunctions="and|so|therefore|but|because|as|since|or|then",
    polite_question_phrases="""
        (can|could|would|will|won t|may|might)( you| u| someone| somebody| anyone| we| i( please)? (be|ask))
        please|pls|kindly|is it possible to|would it be possible|would you mind|do you mind|any chance
    """,
    condition_phrases="if|unless|until|till|in case|assuming|should you|(when|once|after) (my|the|i|this)",
    third_party_phrases="""
        colleagues?|coworkers?|co worker|wife|husband|mother|father|mum|mom|dad|son|daughter|friend
        boss|manager|client|clients|customers?|him|her|their|his|he|she|they|otheraddress
        orders?|invoices?|deliver(y|ies)|parcel|shipment|appointments?|meetings?|booking|refund
        payments?|contract|insurance|netflix|facebook|linkedin|amazon|spotify|instagram|twitter
        miss|missing|guest|without an? unsubscribe|cookies?|waiting list|wait ?list|about my account|trial|webinar|project|thread|phone|calls?|call|team|group chat|slack|whatsapp
        reservation|event|course|account reminders|receipts?|password|magazine|paper version
    """,
    keep_mail_phrases="""
        (i|we)( would| d| do| really| still| ll)*( like| want| wish| love| prefer)?( to)? (keep|continue|resume|re ?subscribe|rejoin|stay|remain)
        (keep|leave|continue|resume|restart|retain) (me on|us on|me sub|me in|the|my|our|it|them|everything)
        (please|to|and|but|instead|also) (keep|continue|resume) (sending|getting|receiving|to)
        still (want|like|love|wish|need|interested|would like|keen)
        but (not|keep|leave|continue|still|send|only|i (do want|do like|still|want to (keep|get|stay|receive|hear)|like|love)|the (monthly|weekly|other|daily|newsletter)|please keep|for|how much|can you send)
        only( unsubscribe| remove| stop| want| the| from| this| one| to| for| about| send| your| on)
        (from|just|for) the~ only|only$|(?<=, )only|(e ?mails?|newsletters?|that) (is|are|s) (fine|ok|okay)|testing|ignore this
        except|apart from|other than|aside from|with the exception|instead of|rather just
        just (the|from|change|kidding|joking|update|this one|reduce|less|pause)|joking|kidding
        (subscribe|sign|add|put|get|opt|let) (me|us)( up| back| in| on| again| for)
        back (on|in|onto|to|again)|again please|re ?subscribe( me)?|undo|changed my mind|opt in|opting in
        (unsubscribed|removed|opted out|deleted)~ (by mistake|by accident|accidentally|in error|mistakenly|wrongly)
        (by mistake|accidentally|by accident|mistakenly|wrongly) (unsubscribed|removed|opted out|clicked|hit|pressed)
        (change|update) my (address|e ?mail|preferences|name|details)|less often|fewer e?mails|less e?mails
        (i|we) (love|enjoy|like|loved|look forward to) (your|the|this|reading|getting|these)
        (don ?t|not|never|hate to|would ?n t|doesn t) (want to )?miss|missing out|pause
        (want|like|love|wish|happy|glad) to (subscribe|sign up|receive more|get more|stay|keep|remain)
    """,
    further_request_phrases="""
        copy of|access to~ (data|information)|subject access|article 15|art 15|delete~ (data|account)|erase
        (delete|erase|remove|destroy)~ (data|information|details|account)|order|invoice|refund|complaint
        lawyer|attorney|solicitor|sue|legal action|authority|regulator|ico|ftc|confirm|confirmation
        where did|how did|who gave|why (do|did|am|are)|let me know|tell me|call me|do not sell|phone
    """,
    remark_phrases="""
        never (signed up|subscribed|asked|requested|registered|ordered|gave|consented|opted)
        (did not|didn ?t) (sign up|subscribe|ask|request|register|consent|opt)
        (keep|keeps) (sending|e ?mailing|getting|receiving|mailing|spamming|writing)|(a|per) (day|week)|(link|button|unsubscribe)~ (broken|does not work|doesn ?t work|not working)|consider~ spam|too (many|much|often)|enough|not interested|no interest|spam|every (day|week)|annoying|inbox
        (times?|again) (now|already)|already (asked|told|requested|unsubscribed)|thank|thanks|last warning
    """,
)
