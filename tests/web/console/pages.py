"""Who may open which page of the console: written by hand, so that a test can compare.

The second person's pages (`decide`, `fulfil`, holds, files) are of compliance alone. A page that
is added, or given to another role, is changed here as well.
"""

from __future__ import annotations

from collections.abc import Mapping

TABLE = """
GET      /                                                         support compliance operator admin
GET      /audit                                                    compliance admin
GET      /audit.csv                                                compliance admin
GET      /catalogue                                                support compliance operator admin
GET      /catalogue/compare                                        support compliance operator admin
GET+POST /catalogue/edit                                           admin
GET      /catalogue/message-types                                  support compliance operator admin
GET      /catalogue/preview                                        support compliance operator admin
GET      /catalogue/preview/mail                                   support compliance operator admin
GET      /catalogue/preview/page                                   support compliance operator admin
GET      /catalogue/privacy                                        support compliance operator admin
GET      /catalogue/topics                                         support compliance operator admin
GET      /catalogue/versions                                       support compliance operator admin
GET      /catalogue/versions/<int:number>                          support compliance operator admin
GET      /catalogue/websites                                       support compliance operator admin
GET+POST /enrol/<token>                                            anyone
GET      /imports                                                  operator
GET      /imports/<uuid:import_id>                                 operator
POST     /imports/<uuid:import_id>/apply                           operator
GET+POST /imports/<uuid:import_id>/cancel                          operator
POST     /imports/<uuid:import_id>/continue                        operator
POST     /imports/<uuid:import_id>/file                            operator
POST     /imports/<uuid:import_id>/groups                          operator
GET+POST /imports/<uuid:import_id>/instructions                    operator
GET+POST /imports/<uuid:import_id>/undo                            operator
GET+POST /imports/new                                              operator
GET+POST /people                                                   support compliance
GET      /people/<uuid:access_id>                                  support compliance
POST     /people/<uuid:access_id>/addresses                        support compliance
GET+POST /people/<uuid:access_id>/link                             support
GET+POST /people/<uuid:access_id>/record                           support
GET+POST /people/<uuid:access_id>/retract/<uuid:event_id>          support
GET      /reports                                                  compliance operator admin
GET      /reports/<name>.csv                                       compliance operator admin
GET      /requests                                                 support compliance
GET      /requests/<uuid:request_id>                               support compliance
GET+POST /requests/<uuid:request_id>/accept                        compliance
GET+POST /requests/<uuid:request_id>/decide                        compliance
POST     /requests/<uuid:request_id>/decline                       support compliance
GET+POST /requests/<uuid:request_id>/extend                        compliance
POST     /requests/<uuid:request_id>/file                          compliance
GET+POST /requests/<uuid:request_id>/fulfil                        compliance
GET+POST /requests/<uuid:request_id>/identity                      support compliance
GET+POST /requests/<uuid:request_id>/move                          compliance
POST     /requests/<uuid:request_id>/person                        support compliance
GET+POST /requests/<uuid:request_id>/proofs                        support compliance
POST     /requests/<uuid:request_id>/proofs/<uuid:proof_id>        compliance
GET+POST /requests/<uuid:request_id>/proofs/<uuid:proof_id>/delete compliance
GET+POST /requests/<uuid:request_id>/propose                       support compliance
GET+POST /requests/<uuid:request_id>/receipt                       support compliance
GET+POST /requests/<uuid:request_id>/refuse                        support compliance
POST     /requests/<uuid:request_id>/reject                        compliance
GET+POST /requests/<uuid:request_id>/retract                       compliance
GET+POST /requests/<uuid:request_id>/undo-move                     compliance
GET+POST /requests/<uuid:request_id>/withdraw                      support compliance
POST     /requests/<uuid:request_id>/words                         support compliance
GET      /requests/closed                                          support compliance
POST     /requests/find                                            support compliance
GET      /requests/holds                                           support compliance
POST     /requests/holds/end                                       compliance
GET+POST /requests/holds/place                                     compliance
GET+POST /requests/list                                            support compliance
GET      /requests/minors                                          support compliance
GET+POST /requests/new                                             support compliance
GET+POST /requests/new/<uuid:access_id>                            support compliance
GET      /requests/tasks                                           support compliance
POST     /requests/tasks/<uuid:erasure_id>                         compliance
POST     /requests/tasks/addresses                                 compliance
GET      /review                                                   support compliance
GET      /review/bursts/<uuid:burst_id>                            support compliance
POST     /review/events/<uuid:webhook_id>/decide                   support compliance
POST     /review/events/retry                                      support compliance
GET      /review/mails/<uuid:item_id>                              support compliance
POST     /review/mails/<uuid:item_id>/decide                       support compliance
POST     /review/pending/<uuid:opt_out_id>/dismiss                 support compliance
GET      /senders                                                  compliance operator admin
GET      /senders/keys/<name>                                      compliance operator admin
GET+POST /senders/keys/<name>/revoke                               operator admin
GET+POST /senders/link-keys/<name>/revoke                          operator admin
GET+POST /senders/link-keys/new                                    operator admin
GET+POST /senders/new                                              operator admin
GET      /sessions                                                 support compliance operator admin
POST     /sessions/<uuid:session_id>/end                           support compliance operator admin
GET+POST /sign-in                                                  anyone
GET      /sign-in/callback                                         anyone
GET      /sign-in/oidc                                             anyone
GET      /sign-in/out                                              anyone
POST     /sign-out                                                 support compliance operator admin
GET      /staff                                                    admin
GET      /staff/accounts/<int:account_id>                          admin
POST     /staff/accounts/<int:account_id>/disable                  admin
POST     /staff/accounts/<int:account_id>/enable                   admin
POST     /staff/accounts/<int:account_id>/roles                    admin
POST     /staff/sessions/<uuid:session_id>/end                     admin
GET      /window                                                   support compliance operator admin
GET      /window/<name>                                            support compliance operator admin
POST     /window/<name>/check                                      operator
GET+POST /window/<name>/confirm/<action>                           operator
POST     /window/<name>/preview                                    operator
GET+POST /window/<name>/settings                                   operator
GET      /window/add_destination                                   operator
GET+POST /window/add_destination/settings                          operator
POST     /window/add_destination/store                             operator
POST     /window/add_destination/topics                            operator
"""
"""Methods, path below /console, and the roles; `anyone` needs no session."""

ANYONE = "anyone"


def pages() -> Mapping[str, tuple[frozenset[str], frozenset[str]]]:
    """The methods and the roles of each path."""
    rows = [line.split() for line in TABLE.strip().splitlines()]
    found = {path: (frozenset(methods.split("+")), frozenset(who)) for methods, path, *who in rows}
    assert len(found) == len(rows), "a path has two rows"
    return found
