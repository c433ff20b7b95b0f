"""Portuguese, of Portugal and of Brazil."""

from preference_center.inbound.rules.objections.language import ObjectionLanguage

PORTUGUESE = ObjectionLanguage(
    code="pt",
    placeholders={
        "address": "(o |a )?(meu|minha|este|esse|esta|nosso|nossa|meus) (endereco|e ?mail|mail|email|nome|contato|contacto|correio|contactos)( (de e ?mail|de email|eletronico|electronico|de correio))?|myaddress",
        "mails": "e ?mails?|mails?|correios?|news ?letters?|mensage(m|ns)|publicidades?|ofertas|spam|propagandas?|promocoes|promocao|informac(ao|oes)|comunicac(ao|oes)|comunicados?"
        "|publicitari[oa]s?|comercia(l|is)|anuncios?|boletins|boletim|nada|marketing|novidades|mailings?|correspondencia|divulgac(ao|oes)|campanhas?|avisos|notificacoes|lixo|conteudos?|sms",
        "list": "lista(s|gem)?|base(s)?|banco de dados|base de dados|cadastros?|mailing|registos?|registros?|sistemas?|contat[o]s?|contactos|distribuicao|assinantes|assinatura|subscricao|inscricao|{mails}",
        "now": "( ja| dai| dali| daqui| agora| imediatamente| por favor| obrigad[oa]| o quanto antes| com urgencia| urgente| definitivamente| hoje| pf)*",
        "any": "( mais| de| da| do| das| dos| a| o| as| os| sua| suas| seu| seus| vossa| vossas| vosso| vossos| essa| esta| este| esse| desta| dessa| desse| deste| tod[oa]s?| nenhum[a]?| nenhuns| outr[oa]s?| qualquer| quaisquer| tipo| em|"
        " por| via| nov[oa]s?| tua| tuas| nossa| esses| estas| essas| futur[oa]s?| desses| destas| voces| para| genero)*",
        "want": "(quero|queria|gostaria( de)?|desejo|solicito|peco|pretendo|queremos|gostariamos|exijo|requeiro|venho (por este meio )?(solicitar|pedir)|desejaria|solicitamos|prefiro|preferia|rogo|quer[ia]+mos|pretendemos|venho)",
        "imp": "(removam|remova|remove|remover|retirem|retire|retira|retirar|excluam|exclua|exclui|excluir|tirem|tire|tira|tirar|apaguem|apague|apaga|apagar|eliminem|elimine|elimina|eliminar|deletem|delete|deletar|descadastrem|descadastre|descadastrar)",
        "verb": "(remov|retir|exclu|tir|apag|elimin|delet|descadastr|cancel|desinscrev|desinscr|desassoci|riscar)",
        "stop": "(parem|pare|para|parar|parassem|deixassem|parassem ja|cessem|cesse|deixem|deixe|deixa|chega|interrompam|suspendam|suspenda|cessar)",
        "purpose": "(publicidade|publicitari[oa]s?|marketing|comercia(l|is)|comercializacao|promociona(l|is)|meus dados|dados pessoais|newsletters?|perfis|propaganda|divulgacao|prospeccao)",
        "consent": "(consentimentos?|autorizac(ao|oes)|permissao)",
    },
    objection_phrases="""
        (cancelar|suspender|parar|interromper)( com)?( o)? (recebimento|envio)~ {mails}
        (cancelem|cancele|cancelar|suspendam|parem|cessem)~ (envio|registo|registro|cadastro|inscricao|subscricao|assinatura)~~ (newsletter[s]?|{mails}|lista)
        ({want}|solicito|peco|requeiro)~ (cancelamento|remocao|exclusao|suspensao|interrupcao)~~ (envio|newsletter|{mails}|lista|subscricao|inscricao)
        {imp}~ (os )?meus dados~~ (lista|mailing|newsletter)
        {imp} (me|nos)(~ (da|das|do|dos|de|desta|dessa|desse|deste)~ {list}|{now}$)
        (me|nos) {imp}(~ (da|das|do|dos|de|desta|dessa|desse|deste)~ {list}|{now}$)
        (removerem|retirarem|excluirem|apagarem|eliminarem|cancelarem|removessem) (me|{address})
        {imp}( imediatamente| por favor| ja)* {address}(~~ (da|das|do|dos|de|desta|dessa|desse|deste)~ {list}|{now}$)
        (remocao|exclusao|eliminacao|retirada|cancelamento|descadastramento|descadastro)~ (do|da|de|deste|dos)~ {address}
        ({want}|podem|poderiam|pode|poderia|favor|podes)~ (me )?(descadastrar|descadastra|desinscrever|desinscrever me|descadastrar me|desinscrever se|cancelar meu cadastro)
        {want}~ (ser|que me|que o meu~) (removid[oa]|retirad[oa]|excluid[oa]|apagad[oa]|eliminad[oa]|descadastrad[oa]|removam|retirem|excluam)
        {want}~ (sair|deixar de (receber|fazer parte|constar|estar))~ ({list}|{mails}|$)
        {want}~ (o|a|minha|meu|pelo)?~ (descadastramento|descadastro|cancelamento da~ (subscricao|inscricao|assinatura)|remocao da~ {list}|exclusao da~ {list})
        ({want}|podem|poderiam|pode|poderia|favor|podes|por favor)~ (cancelar|cancelem|cancele|anular|encerrar|terminar)~ (inscricao|subscricao|assinatura da newsletter|assinatura do|registo na|cadastro na)
        (cancelem|cancele|cancela|anulem)( a| o)? (minha|meu)? ?(inscricao|subscricao|assinatura|cadastro)
        (tirem|tire|tira|retirem|removam|excluam|apaguem)~ (nome|e ?mail|endereco|contato|contacto)~ {list}
        nao (quero|desejo|pretendo|queremos|desejamos|gostaria de|tenho interesse em|estou interessad[oa] em|autorizo|preciso|aceito|tenciono|quer[ia]+)( mais| continuar| voltar| de| a| jamais)* (receber|recebe los|recebendo|ser contactad[oa]|ser contatad[oa]|ter|ler|ver|que me (enviem|contactem|mandem|contatem)|estar (na|nesta|inscrit[oa])|fazer parte|ser incomodad[oa]|constar)
        nao (quero|desejo|queremos)( mais){any} {mails}
        nao (quero|desejo) que (me )?(enviem|mandem|contactem|contatem|usem|utilizem|escrevam)
        {want}~ nao (receber|ser contactad[oa]|ser contatad[oa])
        nao (me|nos) (enviem|envie|envies|mandem|mande|mandes|escrevam|escreva|contactem|contacte|contatem|contate|incomodem|incomode|perturbem|voltem a (enviar|contactar|escrever)|remetam)
        nao (enviem|envie|mandem|mande|enviar|mandar)( me)?( mais){any}( {mails}|$)
        nao (enviem|mandem|contactem|contatem|escrevam) (me|nos)
        (que|favor|pecamos que|peco que) nao me (enviem|contactem|mandem|contatem|escrevam)
        {stop}( ja| imediatamente| por favor)*( de| com| a| o)* (me enviar|me mandar|enviar me|mandar me|me escrever|me contactar|me contatar|me incomodar|contactar me|encher|me encher|enviar|mandar|me bombardear|me perturbar|incomodar me|envio|spam)( {mails}|{any}|$)
        {stop}( ja| de| com| o| os| a| as| enviar| mandar| me| receber)*{any} {mails}{now}$
        (abstenham se|abstenha se|se abstenham|cessem|cesse|interrompam|suspendam)~ (enviar|envio|contactar|contatar|remeter|{mails}|me enviar)
        (oponho|opomos|me oponho|opor|opor me|manifesto minha oposicao|oposicao)( me| nos)?~~ ({purpose}|envio|uso|tratamento|utilizacao)
        (exerco|exercer|exercendo|invoco)~~ oposicao
        (retiro|revogo|retirar|revogar|retiramos|revogamos|anulo|revogacao do|cancelo)( por este meio| expressamente| formalmente| o| a| todo| qualquer| imediatamente)*( meu| minha| nosso| nossa)?~ {consent}
        {consent}~ (revogad[oa]|retirad[oa]|cancelad[oa])
        nao (autorizo|consinto|dou|permito|aceito|concedo|autorizamos|concordo)( mais| o| a| com| que| meu| minha)*~~ ({purpose}|envio|{mails})
        nao (usem|utilizem|usar|utilizar|tratem|tratar|use|utilize)~ (meus dados|meu e ?mail|endereco)~~ {purpose}
        (proibo|proibimos|desautorizo)~~ ({purpose}|envio|{mails}|contactar)
        deixem( me)? em paz
    """,
    standalone_objection_phrases="""
        (stop|parar|parem|chega|basta|sair)( de| da| com| do)?{any}( {mails}| {list})?
        ({want} )?(me )?(descadastrar|descadastre|descadastro|descadastramento|descadastrem|desinscrever|desinscricao|descadastre me|descadastrem me|descadastrar me|desinscrever me|desinscreva me){any}( {list})?{any}( {list})?{now}
        (cancelar|cancele|cancelem|cancelamento|anular|pedido de cancelamento|cancelamento de|quero cancelar)( a| da| de| minha)*( inscricao| subscricao| assinatura| cadastro| newsletter){any}( {list})?
        {imp}( me| nos)?{any}( {list}| {address})( da| do| dessa| desta)?{any}( {list})?
        (me )?{imp}( me)?
        (remocao|exclusao|retirada|saida)( da| do| de)?{any} {list}( de| da)?{any}( {list})?
        nao (quero|desejo)( mais)?( receber)?( mais)?{any}( {mails})
        (nao )?mais nao
        oposicao( ao| a| de)*( tratamento)?( de| para)*( {purpose})?|revogacao( do| de)*( {consent})
        unsubscribe|opt out|me tira|deixem me em paz
    """,
    courtesy_phrases="""
        por favor|por gentileza|pf|pfv|obrigad[oa]|muito obrigad[oa]|grat[oa]|desde ja( agradeco)?|agradecid[oa]|imediatamente|de imediato|o quanto antes|com urgencia|urgente
        se possivel|se for possivel|se faz favor|sff|faz favor|gentilmente|desculpem|com efeito imediato|agradeco|o mais breve possivel|agradec(eria|ia)( muito)? (se|que)|ficaria grat[oa] se|atenciosamente|desde ja
    """,
    greeting_phrases="ola|oi|bom dia|boa (tarde|noite)|car[oa]s?|prezad[oa]s?|exm[oa]s?|estimad[oa]s?|senhor(es|a)?|querid[oa]s?|hello|excelentissim[oa]s?|a quem possa interessar|pessoal|equipe",
    farewell_phrases="""
        (com os )?(melhores |meus )?cumprimentos|atenciosamente|att|atte|obrigad[oa]|abracos?|um abraco|cordialmente|grat[oa]|saudacoes|ate logo|desde ja|respeitosamente
    """,
    negation_phrases="nao|nunca|jamais|sem|nem|em vez de|antes de|tampouco|evitar|ao inves de",
    gap_stop_words="nao|nunca|jamais|sem|nem",
    question_phrases="como|por que|porque|porque e que|quando|que|o que|onde|quem|qual|quais|quanto|posso|devo|e possivel saber|tenho de|voces ja|funciona|sera que",
    reported_speech_phrases="""
        (colega|amig[oa]|esposa|marido|mulher|chefe|cliente|clientes|ele|ela|eles) (quer|querem|deseja|pediu|disse|diz)
        clique aqui|clicar aqui|carregue aqui|a qualquer momento|link (de|para)|botao|esta escrito|diz que|aqui para
    """,
    conjunctions="e|mas|portanto|por isso|ou|pois|porque|alem disso|tambem|entao",
    polite_question_phrases="""
        (podem|poderiam|pode|poderia|podes|poderias|seria|queiram|importam se de)( por favor| me| possivel| voces)?|por favor|por gentileza|e possivel|favor|(voces|voce) (podem|pode|poderiam|poderia)
    """,
    condition_phrases="se|caso|quando|ate que|a menos que|a nao ser que|desde que|assim que|depois que|enquanto",
    third_party_phrases="""
        colegas?|amig[oa]s?|espos[oa]|marido|mulher|mae|pai|filh[oa]|irma|irmao|chefe|clientes?|otheraddress|lo da|la da
        perder|pedidos?|encomendas?|faturas?|facturas?|entregas?|pacotes?|consultas?|reservas?|reembolso|pagamentos?|boletos?|contratos?|seguro|netflix|facebook|linkedin|amazon|spotify
        instagram|espera|cookies?|webinar|curso|evento|telefone|telefonemas?|ligacoes|ligar|liguem|revista|senha|recibos?|whatsapp|grupo|plano|cartao
    """,
    keep_mail_phrases="""
        (quero|queria|gostaria de|desejo|prefiro|pretendo)( sim| so| ainda| apenas| voltar a)* (continuar|manter|receber|inscrever me|me inscrever|subscrever|assinar|mudar|alterar|ficar|permanecer|voltar)
        (manter|mantenham|mantenha|continuem|continuar recebendo|continuar a receber|deixem a|conservem)
        mas (nao|so|apenas|mantenham|quero|continuem|quanto|gostaria|deixem|a|o|sim|tenho interesse)
        (so|somente|apenas|unicamente) (da|do|das|dos|de|a|o|os|as|para|mudar|quero|uma|um|por|na|alterar|a semanal)
        (?<=, )(so|apenas|somente)|exceto|excepto|salvo|menos (a|o|as|os)|com excecao|em vez de|ao inves|com menos frequencia|menos (e ?mails|emails)
        (inscrevam me|me inscrevam|inscrever me|me inscrever|adicionem me|me adicionem|reativar|reativem|recolocar|de volta|novamente|de novo|reinscrever|subscrever a|subscrever me|me cadastrar|cadastrem me)
        (cancelei|cancelad[oa]|removid[oa]|descadastr(ei|ad[oa]))~ (por engano|sem querer|por erro|por acidente|acidentalmente)
        (por engano|sem querer|por erro|acidentalmente)~ (cancelei|cancelad[oa]|removid[oa]|descadastr(ei|ad[oa])|cliquei)
        (mudar|alterar|trocar) (de |o |meu |o meu )*(endereco|e ?mail|email|ideia)|mudei de ideia|brincadeira
        (adoro|amo|gosto( muito)?|curto)( de| receber| ler)* (a|as|o|os|da|das|do|dos|seus|suas|sua|essa|vossa)
    """,
    further_request_phrases="""
        copia|acesso a|aceder|acessar|art 15|artigo 15|art 17|artigo 17|art 18|artigo 18|pedido|fatura|reembolso|reclamacao|queixa|denuncia(r|rei)?|advogad[oa]s?|anpd|cnpd|procon|processo
        (apag|elimin|exclu|delet|remov)[a-z]*~~ ((?<!base de )(?<!bases de )(?<!banco de )dados|conta)|confirm[a-z]+|de onde|onde (conseguiram|obtiveram|arranjaram)|como (conseguiram|obtiveram|arranjaram)|quem (vos|lhes)|medidas (legais|judiciais)|avisem me|telefone
    """,
    remark_phrases="""
        (nunca|jamais|nao) (me )?(inscrevi|cadastrei|subscrevi|pedi|solicitei|autorizei|registei|dei|assinei|solicitei)|demasiad[oa]s?|muit[oa]s|nao (tenho interesse|estou interessad[oa]|me interessa)
        spam|todos os dias|cada (dia|semana)|toda semana|ja (pedi|solicitei|disse)|ultima vez|terceira vez|obrigad[oa]|fart[oa]|cansad[oa]|lixo
    """,
)
