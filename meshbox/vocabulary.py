"""The closed list of log events: name, level, text and what to do about it.

`text` is a format string over the event's fields. Their names are a closed list too (`FIELDS`): the
same thing has the same name in every event, so that one journal query finds all of a node's. `help`
is for the reader of the journal (`journalctl -x`): what happened and what to do. Tests read every call
of `log.emit` and fail for a name that is not here, and for one here that nothing emits. Keep the lists
sorted; `make docs` writes docs/events.md from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Event:
    level: Level
    text: str
    help: str


FIELDS: dict[str, str] = {
    "action": "what was done, as the audit names it",
    "actor": "who did it: local:<user>, api:<key>, file:<name>, oidc:<user>",
    "address": "where the server listens, host:port",
    "bytes": "a number of bytes",
    "changed": "configuration keys whose values changed",
    "count": "how many of what the text names",
    "detail": "more about an action",
    "err": "what went wrong inside meshbox: an error, or the traceback of a fault",
    "expires": "when something ends, RFC 3339",
    "fields": "names of the parts of a report",
    "hostname": "the name a device gives itself, whatever it says",
    "key": "a configuration key by its path",
    "logger": "the library, by the name of its logger",
    "message": "what a library said",
    "method": "the HTTP method",
    "names": "the domains and addresses a certificate is for",
    "node": "a node: its name, or its key in short form where it has none",
    "node_id": "a node's number, which is never used again",
    "object": "what it was done to",
    "path": "the path of a request or of a file",
    "peer_ip": "the address somebody came from, after trusted proxies",
    "policy": "a version of the policy, by its number",
    "reason": "why, in words",
    "req": "the number of a request, as its answer also says it",
    "restart": "configuration keys that wait for a restart",
    "route": "the pattern of paths a request matched",
    "seconds": "a time span",
    "similar": "how many events like this one were only counted, after the last line of its kind",
    "status": "the status of an HTTP answer",
    "subject": "a person at the sign-in provider, by what the provider calls them",
    "traceback": "where in the code it happened",
    "url": "the URL that is meant",
    "user": "a user, by name",
    "version": "of meshbox",
    "what": "the part of the server that is meant",
    "who": "a person, as people know them: an e-mail address or a name",
    "why": "the kind of trouble, one of a few words",
}
"""Name of a field -> what it holds. In the journal it is MESHBOX_ and the name in capitals."""

EVENTS: dict[str, Event] = {
    "api_failed": Event(
        "error",
        "{method} {route} failed by a fault of meshbox (request {req}): {err}",
        "An administration request ended in an error that meshbox did not expect, and was answered with 500. "
        "Nothing was changed halfway. Report it with the err field, which holds the traceback.",
    ),
    "api_key_refused": Event(
        "warning",
        "a wrong API key from {peer_ip}",
        "Somebody called the API with a key that is unknown, expired or revoked. If it is a tool of yours, "
        "give it a new key (meshbox apikeys create). After ten in a minute the address is not listened to "
        "for the rest of it.",
    ),
    "audit_trim_failed": Event(
        "error",
        "old rows of the audit could not be removed: {err}",
        "The text names the cause, usually a full disk. It is tried again tomorrow.",
    ),
    "audit_trimmed": Event(
        "info",
        "{count} rows of the audit older than audit.retention are gone",
        "The audit itself has a row about it. Older backups still hold what went.",
    ),
    "audited": Event(
        "info",
        "{actor}: {action} {object} {detail}",
        "Somebody changed something, and the audit has it: who, what, on which object. `meshbox audit list` "
        "shows more of them, and is what counts: a log can be lost.",
    ),
    "backup_copied": Event(
        "info",
        "backup {path} copied to {url}",
        "The archive is in the restic repository of backup.offsite too, and what the rule of backup.keep_* "
        "does not keep went from there.",
    ),
    "backup_created": Event(
        "info",
        "backup {path} made: {bytes} bytes in {seconds} s",
        "A backup was made, checked and read back. `meshbox backup list` shows them all.",
    ),
    "backup_failed": Event(
        "error",
        "no backup was made: {reason}",
        "The archives that are there were not touched. The text names the cause, usually a full disk or a "
        "file that cannot be read. Once mended, `meshbox backup create` makes one now.",
    ),
    "backup_offsite_failed": Event(
        "error",
        "backup {path} is only on this machine: {reason}",
        "The archive was made; its copy by restic failed with the words in the text. The next backup tries "
        "again; `systemctl start meshbox-offsite` does it now.",
    ),
    "backup_restored": Event(
        "warning",
        "everything was restored from {path}",
        "Somebody put a backup back. What it replaced lies beside, with names that end in .replaced-1. "
        "Whatever happened after the backup was made is gone: devices that joined since have to join again.",
    ),
    "certificate_obtained": Event(
        "info",
        "a certificate for {names} until {expires} ({reason})",
        "The certificate authority issued a certificate, and new connections use it. Open ones were not "
        "touched. It is renewed by itself.",
    ),
    "certificate_renewal_failed": Event(
        "error",
        "{url} gave no certificate for {names}: {reason}; trying again in {seconds} s",
        "The old certificate stays in use until it expires; without one, clients cannot connect. Usually "
        "port 80 of one of the names does not lead here: check its DNS records, the firewall and "
        "http.listen_addr. Once mended, `systemctl reload meshbox` tries at once.",
    ),
    "clock_stepped": Event(
        "warning",
        "the clock stepped by {seconds} seconds",
        "The wall clock was set forward or back. Waiting times were moved along, so nobody expires because "
        "of it; keys whose date has passed by the new time do. If it repeats, look at the time service.",
    ),
    "config_warning": Event(
        "warning",
        "{key}: {reason}",
        "Something in the configuration is accepted but does not do what one may expect. The text says what.",
    ),
    "connection_refused": Event(
        "warning",
        "connections from {peer_ip} are refused or closed ({why})",
        "Somebody holds connections open without proving anything, or opens too many. Usually a scanner or "
        "a broken device; if it is a site of yours, raise limits.connections_per_address.",
    ),
    "console_entered": Event(
        "info",
        "{actor} signed in to the console",
        "Somebody began a session in a browser. What they do there stands in the audit under this name. A "
        "key that is revoked, or a link to the provider that is taken away, ends it at its next request.",
    ),
    "deadline_failed": Event(
        "error",
        "what was due could not be done: {err}",
        "An expiry or a clean-up could not be written to the database. It is tried again in a few seconds; "
        "the text names the cause.",
    ),
    "derp_admission_failed": Event(
        "error",
        "cannot tell whether relay clients are admitted, so none is: {err}",
        "Asking who may use the relay failed by a fault of meshbox. Clients that are connected stay; new ones"
        " are refused until it works again. Report it with the err field.",
    ),
    "derp_client_dropped": Event(
        "info",
        "relay client at {peer_ip} dropped: {why}",
        "The relay ended this connection. `reads nothing`: the client took no byte for 2 seconds, often a "
        "network that went away. Anything else: what it sent is not the relay protocol. A real client comes "
        "back by itself within seconds.",
    ),
    "derp_client_refused": Event(
        "warning",
        "relay refused {node} at {peer_ip}: no node of this tailnet",
        "Somebody who proved this node key wanted to use the relay, and no live node has the key. Normal for "
        "a moment after a node was deleted, expired or logged out; else a stranger who found the relay.",
    ),
    "derp_introduction_not_kept": Event(
        "warning",
        "what the relay says of itself cannot be kept in {path}: {reason}",
        "After the next start clients may be told of no relay for a moment, and those who talk through it "
        "lose packets. Look at the space and the permissions of the state directory.",
    ),
    "derp_map_fetched": Event(
        "info",
        "{url} has a new DERP map with {count} regions",
        "The map is checked, kept on disk and told to the clients.",
    ),
    "derp_map_not_fetched": Event(
        "warning",
        "the DERP map at {url} cannot be had: {reason}",
        "What was fetched before stays in force, over restarts too. It is tried again, at first after "
        "seconds.",
    ),
    "derp_map_not_kept": Event(
        "warning",
        "a fetched DERP map cannot be kept in {path}: {reason}",
        "It is in force, but after a restart it has to be fetched again before clients hear of it.",
    ),
    "derp_map_unusable": Event(
        "error",
        "the DERP map cannot be put together: {reason}",
        "A fetched map and a file do not fit together, for instance because two nodes have one name. The map "
        "before stays in force.",
    ),
    "derp_push_refused": Event(
        "warning",
        "a push to this relay from {peer_ip} showed a wrong token",
        "Somebody tried to tell this relay who is admitted. If it is your control server, give it the token "
        "that stands in the file of admission.token_path.",
    ),
    "derp_set_not_kept": Event(
        "error",
        "the set of admitted nodes could not be kept in {path}: {reason}",
        "The relay works on, but after a restart it lets nobody in until control pushes again. Make room on "
        "the disk, or let the relay write there.",
    ),
    "derp_set_not_read": Event(
        "warning",
        "the kept set of admitted nodes in {path} cannot be used: {reason}",
        "The relay starts without it and lets nobody in until control pushes, usually within a second.",
    ),
    "derp_verify_failed": Event(
        "error",
        "{url} does not say whether clients are admitted: {reason}",
        "The relay asks this URL for each client that connects and got no proper answer. Unless it fails "
        "open, new clients stay out; those connected stay.",
    ),
    "dns_records_read": Event(
        "info",
        "{count} extra DNS records read from {path}",
        "The file of dns.extra_records_path changed and every client was sent its records.",
    ),
    "dns_records_refused": Event(
        "warning",
        "extra DNS records were not taken over: {reason}",
        "The file of dns.extra_records_path cannot be used; the records read before stay in force, and after "
        "a start there are none. Mend it: it is looked at every second. /health answers warn until then.",
    ),
    "flush_failed": Event(
        "error",
        "reports of nodes could not be written: {err}",
        "What nodes told about themselves is kept in memory and written as soon as the database takes it. "
        "The text names the cause, usually a full disk.",
    ),
    "handover_failed": Event(
        "error",
        "a connection for the relay could not be handed over on {path}: {reason}",
        "Clients that asked for the relay on our port were turned away. Start the relay (meshbox derp with "
        "handover_socket), or look at who may write to the socket.",
    ),
    "handshake_refused": Event(
        "info",
        "a tunnel from {peer_ip} could not be opened: {reason}",
        "A client tried with a wrong key of this server, or something that is no client tried at all. If "
        "clients of yours cannot connect, the file of noise.private_key_path was replaced: restore it.",
    ),
    "health_doubtful": Event(
        "warning",
        "{what} will need somebody: {reason}",
        "The server works, and something will stop it or be missing one day unless somebody acts; the text "
        "says what. /health answers warn until then.",
    ),
    "health_lost": Event(
        "error",
        "{what} is not well: {reason}",
        "A self-check failed. The text says what has to be done; /health answers fail until then.",
    ),
    "health_regained": Event(
        "info",
        "{what} is well again",
        "A self-check that had failed passes.",
    ),
    "library_debug": Event(
        "debug",
        "{logger}: {message}",
        "A library meshbox uses said something. Only shown while log.level is debug.",
    ),
    "library_error": Event(
        "error",
        "{logger}: {message}",
        "A library met an error that meshbox did not expect. The server goes on. If it repeats, report it "
        "with the traceback field (journalctl -o verbose shows it).",
    ),
    "library_warning": Event(
        "warning",
        "{logger}: {message}",
        "A library warns of something. Nothing has to be done unless it repeats.",
    ),
    "login_waiting": Event(
        "info",
        "a device {hostname} from {peer_ip} waits for approval",
        "Somebody ran `tailscale up` without a key and was shown a link. Approve with `meshbox auth list` "
        "and `meshbox auth approve`, or let it expire.",
    ),
    "loop_late": Event(
        "warning",
        "the server was busy and {seconds} seconds late",
        "Something held the event loop: heavy load, or a machine that is too small or was suspended. "
        "Harmless when it happens once.",
    ),
    "map_poll_braked": Event(
        "warning",
        "node {node} opens its map poll again and again (from {peer_ip})",
        "A node asks for its whole map over twenty times a minute; each further one is delayed or refused. "
        "Usually two machines run with the same state directory: give one of them its own login.",
    ),
    "map_silent": Event(
        "info",
        "a client at {peer_ip} did not answer for {seconds} seconds and was dropped",
        "A client was asked for a sign of life and gave none: it hangs, or lost its network behind a proxy "
        "that did not notice. It comes back by itself.",
    ),
    "map_stalled": Event(
        "info",
        "a client at {peer_ip} took none of {bytes} bytes and was dropped",
        "A client stopped reading its map stream, usually because its network has gone. It comes back by "
        "itself.",
    ),
    "mesh_is_self": Event(
        "info",
        "{address} among mesh.peers is this relay itself",
        "All relays of a region may have one list; nothing has to be done.",
    ),
    "mesh_peer_away": Event(
        "warning",
        "the relay {address} of this region cannot be reached: {reason}",
        "Clients here and there do not reach each other through the relays. It is tried again every five "
        "seconds; look whether it runs, and whether both have the same mesh key.",
    ),
    "mesh_peer_joined": Event(
        "info",
        "the relay {address} of this region is connected",
        "Clients of both relays reach each other.",
    ),
    "name_proven": Event(
        "info",
        "{node} proves to a certificate authority that it is {names}",
        "The device gets or renews a certificate: for an hour our name server shows the challenge "
        "(dns.certificates). Whether the authority was content is in the log of the device.",
    ),
    "node_registered": Event(
        "info",
        "node {node} (id {node_id}) of {user} registered from {peer_ip}",
        "A new device joined the tailnet.",
    ),
    "node_waiting": Event(
        "info",
        "node {node} (id {node_id}) from {peer_ip} waits for approval",
        "A new device logged in, and node.approval asks that an administrator agrees. Look at it with "
        "`meshbox nodes show`, then `meshbox nodes approve` or `meshbox nodes delete`.",
    ),
    "page_failed": Event(
        "error",
        "page {route} failed by a fault of meshbox (request {req}): {err}",
        "A page ended in an error that meshbox did not expect, and was answered with 500. Report it with the "
        "err field, which holds the traceback.",
    ),
    "policy_changed": Event(
        "info",
        "version {policy} of the policy, by {actor}, is in force",
        "The policy was changed. `meshbox policy history` lists the versions, `meshbox policy restore` "
        "brings one back.",
    ),
    "policy_fell_back": Event(
        "error",
        "the newest policy does not serve: {reason}",
        "A version of the policy that was accepted once cannot be read by this meshbox, so an older one "
        "serves, or nothing is allowed. Put in a policy that can be read (meshbox policy edit, or the file "
        "and a reload).",
    ),
    "policy_refused": Event(
        "error",
        "the policy file was not taken over: {reason}",
        "The file of policy.path has errors or its tests fail; the policy that was in force stays. If there "
        "never was one since the start, nothing is allowed. Mend the file at the line that is named and "
        "reload the server; `meshbox policy check FILE` tells beforehand.",
    ),
    "registration_impossible": Event(
        "error",
        "a device from {peer_ip} could not join: {reason}",
        "A registration was in order but could not be carried out. The text says why, for instance that no "
        "address is free: enlarge prefixes.v4 or delete nodes.",
    ),
    "registration_refused": Event(
        "warning",
        "a registration from {peer_ip} was refused: {reason}",
        "A device showed a key that is wrong, used up or expired, or asked for tags it may not have. Its "
        "user sees the same text.",
    ),
    "relay_is_open": Event(
        "warning",
        "this relay is open: whoever reaches {address} may use it",
        "It was started with `--admit all`. Fine for a lab; never leave it so on the open net.",
    ),
    "relay_not_told": Event(
        "warning",
        "the relay {address} cannot be told who is admitted: {reason}",
        "It is tried every second. Until then the relay admits whom it was told of last; a node deleted "
        "meanwhile can go on using it.",
    ),
    "relay_pinned": Event(
        "info",
        "clients reach this relay with CertName {key} in the DERP map",
        "Without a certificate of an authority the relay made one itself. Put this text as certname into the "
        "file that describes the relay (derp.paths of the control server).",
    ),
    "relay_reloaded": Event(
        "info",
        "the certificate was read again",
        "The relay was asked to reload. Connections go on with what they have; new ones get the new "
        "certificate.",
    ),
    "relay_started": Event(
        "info",
        "relay {version} listens on {address} and admits {reason}",
        "The relay is ready.",
    ),
    "relay_stopped": Event(
        "info",
        "the relay has stopped",
        "All connections were ended. Clients come back within seconds once a relay listens again.",
    ),
    "relay_told_again": Event(
        "info",
        "the relay {address} knows who is admitted again",
        "It answers, and was told everything that changed.",
    ),
    "relay_waits_for_control": Event(
        "warning",
        "nobody is admitted until control pushes to {path}",
        "The relay was never told who may use it. Name this socket (or the address of this relay) in "
        "derp.push of the control server; it pushes within a second.",
    ),
    "relay_worker_lost": Event(
        "error",
        "one of the relay's workers ended, so all end",
        "A process of the relay died, or took too long to be told something. The service manager starts all "
        "of them again; clients come back within seconds. If it repeats, look at the memory limit, and report"
        " what stands before this line.",
    ),
    "reload_refused": Event(
        "error",
        "the new configuration was not taken over: {reason}",
        "The file has errors; the old configuration stays in force until the next start, which would fail. "
        "Mend it and reload again; `meshbox config check` shows all errors. /health answers warn until then.",
    ),
    "reloaded": Event(
        "info",
        "configuration reloaded; changed: {changed}; needs a restart: {restart}",
        "The new configuration is in force, except for the keys that are only read at start.",
    ),
    "report_clipped": Event(
        "warning",
        "node {node} reports more than is passed on ({fields})",
        "A node sent more endpoints, routes or host facts than its peers are told. Nothing has to be done; "
        "if the node is sound, tell us the numbers.",
    ),
    "request_failed": Event(
        "error",
        "{path} failed: {err}",
        "A request of a client could not be answered. If the text names the disk or the database, look "
        "there; if it is a traceback, report it.",
    ),
    "router_answers": Event(
        "info",
        "{node} answers again and stands by for its routes",
        "A node that shares a route with others gave no sign of life for a while and does now. Routes stay "
        "where they are: each move breaks connections.",
    ),
    "router_silent": Event(
        "warning",
        "{node} gave no sign of life within {seconds} seconds: another router carries its routes",
        "A node that shares a route with others is connected but its client does not answer: the machine "
        "hangs or lost its network. If no other router is well, it keeps its routes. `meshbox routes list` "
        "shows who carries what; node.routes.ha sets how often routers are asked.",
    ),
    "server_started": Event(
        "info",
        "meshbox {version} listens on {address} and is reached at {url}",
        "The server is ready.",
    ),
    "server_stopped": Event(
        "info",
        "meshbox has stopped",
        "All sessions were ended and everything is written.",
    ),
    "signed_in": Event(
        "info",
        "{user} signed in and decided about a {what}",
        "A person came back from the sign-in provider and let a device in (register) or confirmed a login by "
        "Tailscale SSH (ssh). `subject` is who they are at the provider.",
    ),
    "signin_no_userinfo": Event(
        "warning",
        "the sign-in provider answered {status} when asked about a person at {url}",
        "The person was signed in by what the token alone says: groups or e-mail address may be missing, and "
        "with them permission. See the provider's log.",
    ),
    "signin_refused": Event(
        "warning",
        "{who} was not signed in: {reason}",
        "The person sees one sentence without the reason. If they should come in, change "
        "oidc.allowed_domains, allowed_users or allowed_groups, or what the provider says; see docs/oidc.md.",
    ),
    "signin_unavailable": Event(
        "warning",
        "{reason}",
        "Nobody can sign in until the provider answers; who is in stays in, and an administrator can let "
        "others in with `meshbox auth approve`. It is asked again at the next try.",
    ),
    "ssh_check_waiting": Event(
        "info",
        "a login by SSH waits for confirmation: {what}",
        "The policy wants a person to confirm this login. Look at `meshbox ssh list` and confirm with "
        "`meshbox ssh approve`, or let it expire.",
    ),
    "ssh_not_recorded": Event(
        "warning",
        "a login to {node} by {what} was not recorded ({why}): {reason}",
        "The policy wants logins there recorded, and the node reached no recorder. rejected: the session did "
        "not begin; terminated: it was ended; unrecorded: it goes on, since the rule has no enforceRecorder. "
        "See whether the recorder runs, and whether the policy lets the node reach it on port 80.",
    ),
    "tunnel_dropped": Event(
        "warning",
        "a tunnel from {peer_ip} was dropped: {reason}",
        "A client broke the protocol or did more of something than any sound client does. Official clients "
        "come back by themselves.",
    ),
    "verify_refused": Event(
        "warning",
        "{peer_ip} asked whether a node may use a relay, and is no relay of ours",
        "Only relays in the DERP map may ask /verify, by their literal address. If this is your relay, give "
        "its ipv4 or ipv6 in the file of derp.paths.",
    ),
}
