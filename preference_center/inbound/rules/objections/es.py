"""Spanish."""

from preference_center.inbound.rules.objections.language import ObjectionLanguage

SPANISH = ObjectionLanguage(
    code="es",
    placeholders={
        "address": "(mi|este|esta|nuestra|nuestro|mis) (direccion|correo|e ?mail|mail|cuenta de correo|nombre|contacto|datos de contacto)( (de correo|electronic[oa]|de e ?mail|e ?mail))?( electronico)?|myaddress",
        "mails": "e ?mails?|mails?|correos?|correspondencia|news ?letters?|boletin(es)?|mensajes?|publicidad(es)?|ofertas|spam|propaganda|promocion(es)?"
        "|informacion(es)?|comunicacion(es)?|anuncios?|publicitari[oa]s?|comerciales?|nada|marketing|novedades|envios?|notificaciones|avisos|basura|catalogos?",
        "list": "listas?|bases?|base de datos|ficheros?|mailing|suscripcion(es)?|registros?|contactos|sistemas?|destinatarios|suscriptores|distribucion|{mails}",
        "now": "( ya| ahora| inmediatamente| por favor| gracias| cuanto antes| de inmediato| urgentemente| definitivamente| hoy| porfavor)*",
        "any": "( mas| de| del| la| el| los| las| lo| su|  sus| sus| tu| tus| vuestr[oa]s?| este| esta| estos| estas| tod[oa]s?| ningun[oa]?| otr[oa]s?| a| en| por| nuev[oa]s?| tipo| esos| ese| esas| esa| cualquier| clase| dichos?| futuros?)*",
        "want": "(quiero|quisiera|deseo|desearia|solicito|pido|les pido|le pido|ruego|les ruego|le ruego|quisieramos|necesito|exijo|me gustaria|queremos|prefiero|solicitamos|deseamos|agradeceria|rogaria|les solicito|le solicito|os ruego|os pido|preferiria)",
        "off": "(darme|darnos|dame|deme|denme|dadme|dennos|me den|me de|me deis|nos den|me dan|me da|me dais|me das|me des|me doy|darse|darme yo)",
        "imp": "(eliminen|elimine|elimina|eliminad|borren|borre|borra|borrad|quiten|quite|quita|quitad|retiren|retire|retira|saquen|saque|saca|sacad|remuevan|remueva|excluyan|excluya|supriman|suprima|cancelen|desuscriban|desuscriba|desinscriban|sacar|borrar|eliminar|quitar|retirar|suprimir|remover)",
        "imps": "(eliminenme|elimineme|eliminame|borrenme|borreme|borrame|quitenme|quiteme|quitame|retirenme|retireme|retirame|saquenme|saqueme|sacame|remuevanme|remuevame|desuscribanme|desuscribame|desuscribeme|desinscribanme|desapuntenme|desapuntame|borradme|quitadme|eliminadme|sacadme|excluyanme|eliminennos|quitennos|borrennos|dennos de baja)",
        "inf": "(eliminarme|borrarme|quitarme|retirarme|sacarme|removerme|desuscribirme|desinscribirme|desapuntarme|excluirme|suprimirme|anular mi suscripcion|cancelar mi suscripcion)",
        "stop": "(dejen|deje|deja|dejad|dejar|dejaran|dejasen|dejaseis|dejarais|dejara|paren|pare|para|parar|cesen|cese|basta|detengan|paren ya|dejen ya)",
        "purpose": "(publicidad|publicitari[oa]s?|mercadotecnia|marketing|comercial(es)?|promocional(es)?|mis datos|datos personales|boletin(es)?|perfilado|prospeccion|propaganda|newsletters?)",
        "consent": "(consentimientos?|autorizacion(es)?|permiso)",
    },
    objection_phrases="""
        me (eliminaran|borraran|quitaran|retiraran|sacaran|eliminasen|borrasen|quitasen|dieran de baja|diesen de baja)(~ (de|del)~ {list}|{now}$)
        no (enviar|mandar|envien|envie|manden|mande)( me)?( mas){any} {mails}
        no me interesa(n)?( ya| mas)? (recibir|seguir recibiendo){any} {mails}
        me (quiero|gustaria|deseo) dar(me)? de baja
        {imp}( por favor)? mis datos~~ (lista|listas|boletin|mailing|base)
        ({want}|procedan a|procedan con|tramiten)~ (la )?(cancelacion|anulacion|eliminacion|baja)~~ (suscripcion|boletin|newsletter|envio|lista)
        (cancelen|cancele|suspendan|detengan|paren)~ (envio|envios|boletin|newsletter|{mails})
        {off}( ya| por favor| inmediatamente)*( de)?( la)? (baja|vaja)
        {imps}( de~~ {list}|{now}$)
        {imps}~ (de|del)~ {list}
        ({want}|podria|podrian|puede|pueden|podeis|puedes|podrias|favor de|favor)~ {inf}(~ (de|del)~ {list}|{now}$)
        {inf}~ (de|del)~ {list}
        (que )?(me|nos) (eliminen|borren|quiten|retiren|saquen|remuevan|desuscriban|elimine|borre|quite|retire|saque|desuscriba|desapunten|excluyan|borreis|quiteis|elimineis)(~ (de|del)~ {list}|{now}$)
        {imp}~ {address}(~~ (de|del)~ {list}|{now}$)
        {want}~ (ser|que se me|estar)~ (eliminad[oa]|borrad[oa]|retirad[oa]|dad[oa] de baja|excluid[oa]|removid[oa]|elimine|borre)
        {want}~ (la|mi|una|darme de|nuestra)?~ (baja|desuscripcion|cancelacion de mi suscripcion|eliminacion de mi (correo|direccion|e ?mail))(~ {list}|{now}$)
        (tramiten|tramite|procedan a|gestionen|cursen|procesen)~ (baja|desuscripcion)
        ({want}|podrian|pueden|puede|favor de|podria)( por favor)? (cancelar|anular|dar de baja|terminar|rescindir)~ (suscripcion|inscripcion|mi correo|mi e ?mail|mi direccion)
        (cancelen|cancele|anulen|anule|cancela|cancelad) (mi|la|nuestra) (suscripcion|inscripcion)
        (dar|den|de|dad) de baja~ {address}
        (ya )?no (quiero|deseo|queremos|deseamos|quisiera|me gustaria|autorizo|pienso|necesito)( ya| mas| seguir)*( a)?( que me)? (recibir|recibiendo|recibirlos|recibirlas|leer|ver|tener|ser contactad[oa]|que me (envien|manden|escriban|contacten)|estar (suscrit[oa]|en~ {list})|formar parte|recibir)
        no (quiero|deseo|queremos|necesito)( mas){any} {mails}
        no (quiero|deseo|queremos) que (me |nos )?(envien|manden|escriban|contacten|sigan|molesten|utilicen mis datos|usen mis datos)
        {want}~ (no|dejar de) (recibir|ser contactad[oa]|recibirlos|estar en)
        no (me|nos) (envien|envie|envies|envieis|manden|mande|mandes|mandeis|escriban|escriba|escribas|escribais|contacten|contacte|contacteis|contactes|molesten|moleste|molesteis|sigan enviando|sigan mandando|sigan escribiendo|vuelvan a (escribir|enviar|contactar|mandar)|vuelva a (escribir|enviar|contactar)|remitan|hagan llegar)
        {stop}( ya| por favor)?( de| con)? (enviarme|mandarme|escribirme|contactarme|molestarme|enviar|mandar|enviarnos|bombardearme|spamear|acosarme|llenarme|remitirme)( {mails}|{any}|$)
        {stop}( ya)?( de| con)?( enviar| enviarme| mandar| mandarme| recibir)?{any} {mails}{now}$
        (abstengase|abstenganse|absteneos|se abstengan|eviten|evite|cesen|cese|suspendan|suspenda|interrumpan|detengan)~ (enviarme|enviar|mandarme|contactarme|envio|remitir|{mails}|remitirme|escribirme)
        (me opongo|nos oponemos|oponerme|opongo|oponemos|opongome|oposicion)~~ ({purpose}|envio|uso|tratamiento)
        (ejerzo|ejercer|ejercito|ejercitar|hago uso)~~ oposicion
        (revoco|retiro|revocamos|retirar|revocar|revoque|anulo|dejo sin efecto|retiramos)( formalmente| por la presente| mediante la presente| expresamente| con efecto inmediato)?( el| la| mi| todo| nuestro| cualquier)*~ {consent}
        {consent}~ (revocad[oa]|retirad[oa])
        no( les| le| os| te)? (tienen|tiene|teneis|cuentan con|doy|di|dimos|damos)~ {consent}~~ ({purpose}|{mails}|enviarme)
        no (autorizo|consiento|doy|presto|permito|acepto|otorgo)( a| mi| el| que| mas| la)*~~ ({purpose}|envio|{mails})
        no (vuelvan|vuelva|volvais|vuelvas) a (escribirme|contactarme|enviarme|mandarme|molestarme)
        no (usar|utilizar|usen|utilicen|traten|tratar|use|utilice)~ (mis datos|mi correo|mi direccion)~~ {purpose}
        (prohibo|prohibimos|desautorizo)~~ ({purpose}|{mails}|contactar)
        no (escribirme|contactarme|enviarme|mandarme|molestarme)( mas| nada| mas nada)?
        ya no (estoy interesad[oa]|me interesa[n]?)~ (en )?(recibir|boletin|newsletter|{mails})
    """,
    standalone_objection_phrases="""
        (stop|baja|alto|basta)( a| de| con)?{any}( {mails})?( del)?( {list})?
        ({want} )?(mi |la |una )?(dar(me|se)? de )?(baja|desuscripcion|desuscribir(me)?|desinscribir(me)?|cancelacion){any}( inmediata)?{any}( {list})?{any}( {list})?{now}
        (solicitud de |peticion de )?(baja|desuscripcion|cancelacion|eliminacion){any}( {list})?{any}( {list})?
        (cancelar|anular|cancelacion de|dar de baja)( la| mi)?( suscripcion| inscripcion)?{any}( {list})?
        {imp}(me)?{any} ({list}|{address})
        no (mas|quiero)( mas)?{any} {mails}
        (basta|no mas)( ya)?( de)?{any} {mails}
        (eliminar|borrar|quitar|sacar|remover)(me)?{any}( {list})
        (oposicion|derecho de oposicion)( a| al| de)*( tratamiento)?( de)?( {purpose})?|ejercicio( del)? derecho de oposicion
        unsubscribe|opt out|dejenme en paz|dejame en paz
    """,
    courtesy_phrases="""
        por favor|porfavor|porfa|gracias( de antemano)?|muchas gracias|mil gracias|inmediatamente|de inmediato|cuanto antes|a la brevedad|urgente(mente)?
        si es posible|si fuera posible|si son tan amables|de ser posible|amablemente|atentamente|disculpen|disculpe|pf|plis|con efecto inmediato|de antemano|agradeceria( mucho)? (si|que)|(le|les) agradeceria (si|que)|lo antes posible
    """,
    greeting_phrases="hola|buen[oa]s?|buenos dias|buenas (tardes|noches)|estimad[oa]s?|querid[oa]s?|señor(es|a)?|senor(es|a)?|apreciad[oa]s?|a quien corresponda|hello|equipo",
    farewell_phrases="""
        (un |cordiales |atentos |muchos |reciban un )?(cordial )?salud(o|os)|atentamente|atte|gracias|muchas gracias|cordialmente|un abrazo|abrazos|quedo a la espera
    """,
    negation_phrases="pena|lastima|no|nunca|jamas|sin|ni|en vez de|en lugar de|antes de|tampoco|evitar",
    gap_stop_words="no|nunca|jamas|sin|ni|nada",
    question_phrases="como|por que|porque me|cuando|que|donde|quien|cual|cuanto|cuantos|puedo|debo|se puede|tengo que|han|ha|funciona",
    reported_speech_phrases="""
        (companer[oa]|colega|amig[oa]|esposa|marido|mujer|jef[ea]|client[ea]s?|el|ella|ellos) (quiere|quieren|desea|pidio|dice|dijo|ha pedido)
        haga clic|haz clic|clic aqui|pulse aqui|pinche aqui|en cualquier momento|enlace (de|para)|boton|dice que|aqui para|por enfermedad|estoy de baja|medica
    """,
    conjunctions="y|e|pero|asi que|por lo tanto|porque|o|ademas|asimismo|pues|ya que",
    polite_question_phrases="""
        (pueden|podrian|puede|podria|podeis|podriais|puedes|podrias|serian|seria)( ustedes| usted| por favor| tan amables| posible)?|por favor|es posible que|me (pueden|podrian|puede|podria)|gracias|favor
    """,
    condition_phrases="si|en caso de|cuando|hasta que|hasta|a menos que|siempre que|despues de que|en cuanto",
    third_party_phrases="""
        companer[oa]s?|colegas?|amig[oa]s?|espos[oa]|marido|mujer|madre|padre|hij[oa]|herman[oa]|jef[ea]|client[ea]s?|otheraddress|denlo|denla
        perder(me|melo|los|las|nos)?|pedidos?|facturas?|entregas?|paquetes?|envio de mi|citas?|reservas?|reembolso|pagos?|contratos?|seguro|netflix|facebook|linkedin|amazon|spotify
        instagram|espera|cookies?|seminario|curso|evento|telefono|telefonicamente|llamadas?|llamarme|revista|contrasena|recibos?|linea|movil|movistar|grupo|seguridad social
    """,
    keep_mail_phrases="""
        (quiero|quisiera|deseo|prefiero|me gustaria)( si| solo| aun| todavia| volver a)? (seguir|continuar|mantener|conservar|recibir|suscribirme|inscribirme|volver|cambiar|apuntarme)
        (mantener|mantengan|conserven|conservar|sigan enviandome|seguir recibiendo|continuar recibiendo|dejen la|mantenganme)
        (pero|sino) (no|solo|mantengan|dejen|quiero|deseo|si|sigan|cuanto|el|la|los|las|quisiera|me interesa)
        (solo|solamente|unicamente|nada mas) (del|de la|de los|de las|de|la|el|los|las|para|por|cambiar|quiero|una|un|al|el semanal)
        (?<=, )(solo|solamente)|excepto|salvo|menos (el|la|los|las)|a excepcion|en vez de|en lugar de|con menos frecuencia|menos (correos|mails)
        (suscribanme|suscribirme|suscribeme|inscribanme|inscribirme|apuntenme|agreguenme|anadanme|reactivar|reactiven|volver a (recibir|suscribir|darme de alta)|darme de alta|denme de alta|de nuevo)
        (di|dieron|dado|dada|borr[ao]d[oa]|eliminad[oa]) ?(de baja)?~ (por error|sin querer|por equivocacion|accidentalmente)
        (por error|sin querer|por equivocacion)~ (di|dieron|dado) de baja
        cambi(ar|o|e) (de |mi )?(correo|direccion|e ?mail|mail|opinion|idea)|he cambiado de|es broma
        (me (encanta|encantan|gusta|gustan)|adoro)( mucho| muchisimo)? (el|la|los|las|su|sus|vuestr[oa]s?|este)
    """,
    further_request_phrases="""
        copia|acceso a|acceder|derecho de acceso|articulo 15|art 15|articulo 17|art 17|pedido|factura|reembolso|reclamacion|queja|denuncia(r|re)?|abogad[oa]s?|agencia (espanola )?de proteccion|aepd|profeco
        (borr|elimin|suprim|cancel)[a-z]*~~ ((?<!base de )(?<!bases de )datos|cuenta)|(supresion|eliminacion|borrado)~~ datos|confirm[a-z]+|de donde|como (consiguieron|obtuvieron|han)|quien les|acciones legales|avisenme|telefono
    """,
    remark_phrases="""
        (nunca|jamas|no) (me )?(suscribi|inscribi|he suscrito|he solicitado|solicite|pedi|autorice|registre|di|he dado|apunte|he pedido|he autorizado)|demasiad[oa]s?|no me interesa(n)?|no estoy interesad[oa]
        spam|cada (dia|semana)|todos los dias|ya (lo )?(he pedido|pedi|solicite|dije)|ultima vez|tercera vez|gracias|hart[oa]|molest[oa]s?
    """,
)
