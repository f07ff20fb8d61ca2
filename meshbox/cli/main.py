"""`meshbox`: the command line's front door, and how every failure leaves through it.

A mistake ends with one sentence on stderr and an exit code that says what kind it was: 0 fine, 1 failed,
2 wrong usage or value, 3 not found, 4 refused, 5 conflict, 6 no server answers; 10 and above belong to
the server's start (see meshbox.errors). With `-o json` the sentence is an object.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from meshbox.cli.group import Group, Lazy
from meshbox.cli.options import Options, common_options
from meshbox.cli.text import clean
from meshbox.errors import MeshboxError

INTERRUPTED = 130
USAGE = 2

RUN = "Running a server"
NETWORK = "Your network"
LOOK = "Looking"

COMMANDS = {
    "quickstart": Lazy(
        "meshbox.cli.quickstart", "quickstart", "Start a server at once and show how to join it.", RUN
    ),
    "serve": Lazy("meshbox.cli.server", "serve", "Run the server in the foreground.", RUN),
    "derp": Lazy(
        "meshbox.cli.derp", "derp", "Run a relay (DERP and STUN) in the foreground, or look at one.", RUN
    ),
    "config": Lazy("meshbox.cli.config", "config", "Check, show and sample the configuration.", RUN),
    "backup": Lazy("meshbox.cli.backup", "backup", "Make, list, check and restore backups.", RUN),
    "users": Lazy(
        "meshbox.cli.users", "users", "Create, list, rename and delete users, and say what they are.", NETWORK
    ),
    "nodes": Lazy(
        "meshbox.cli.nodequestions", "nodes", "List, show, rename, tag, expire and delete nodes.", NETWORK
    ),
    "preauthkeys": Lazy(
        "meshbox.cli.preauthkeys", "preauthkeys", "Create, list, expire and delete pre-auth keys.", NETWORK
    ),
    "auth": Lazy("meshbox.cli.auth", "auth", "List devices that wait, let them in, or reject them.", NETWORK),
    "dns": Lazy(
        "meshbox.cli.dns",
        "dns",
        "Show what names and resolvers nodes have, and ask a name as one of them.",
        NETWORK,
    ),
    "routes": Lazy(
        "meshbox.cli.routes", "routes", "List, approve and withdraw the routes that nodes offer.", NETWORK
    ),
    "notices": Lazy(
        "meshbox.cli.notices",
        "notices",
        "List, set and delete notices that clients show their users.",
        NETWORK,
    ),
    "policy": Lazy(
        "meshbox.cli.policy",
        "policy",
        "See, check, change and explain the policy: who may reach whom.",
        NETWORK,
    ),
    "ssh": Lazy(
        "meshbox.cli.ssh",
        "ssh",
        "List logins by Tailscale SSH that wait, confirm them, or reject them.",
        NETWORK,
    ),
    "apikeys": Lazy("meshbox.cli.apikeys", "apikeys", "Create, list, expire and delete API keys.", NETWORK),
    "status": Lazy(
        "meshbox.cli.server", "status", "Show what is going on: version, nodes online, devices waiting.", LOOK
    ),
    "health": Lazy(
        "meshbox.cli.server",
        "health",
        "Ask whether the server and its database answer; exit code 0 when they do.",
        LOOK,
    ),
    "events": Lazy(
        "meshbox.cli.events", "events", "Show what happened: the server's log events, the newest last.", LOOK
    ),
    "audit": Lazy("meshbox.cli.events", "audit", "Show who did what.", LOOK),
    "version": Lazy("meshbox.cli.server", "version", "Print the version of this program.", LOOK),
    "completion": Lazy("meshbox.cli.server", "completion", "Print the completion script for a shell.", LOOK),
    "configtest": Lazy(
        "meshbox.cli.config", "check", "Check a configuration file and tell everything that is wrong with it."
    ),
    "generate": Lazy("meshbox.cli.generate", "generate", "Make keys."),
}

ALIASES = {
    "user": "users",
    "node": "nodes",
    "route": "routes",
    "preauthkey": "preauthkeys",
    "authkey": "preauthkeys",
    "pre": "preauthkeys",
    "apikey": "apikeys",
    "api": "apikeys",
    "notice": "notices",
    "gen": "generate",
}
"""Headscale's other spellings."""

meshbox = Group(
    "meshbox",
    help="""Coordination server and relay for the official Tailscale clients.

    Commands speak to the running server over its unix socket. Names are accepted wherever ids are.
    """,
    lazy=COMMANDS,
    aliases=ALIASES,
    params=common_options(hidden=False),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="A command explains itself: meshbox nodes --help",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns its exit code."""
    options = Options()
    try:
        code = meshbox.main(
            None if arguments is None else list(arguments), "meshbox", standalone_mode=False, obj=options
        )
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except MeshboxError as error:
        return _fail(options, str(error), error.exit_code)
    except click.UsageError as error:
        hint = f"\nSee `{error.ctx.command_path} --help`." if error.ctx else ""
        return _fail(options, error.format_message(), USAGE, hint)
    except click.ClickException as error:
        return _fail(options, error.format_message(), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        print("", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # `meshbox nodes list | head` has read enough; Python must not complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _fail(options: Options, sentence: str, code: int, hint: str = "") -> int:
    if options.is_for_machines:
        import json

        print(json.dumps({"error": sentence}), file=sys.stderr)
    else:
        lines = (sentence + hint).split("\n")
        print("meshbox: " + "\n".join(clean(line) for line in lines), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
