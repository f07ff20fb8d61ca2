"""A Prometheus of somebody's, that reads the appliance with what the playbook wrote for it."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import yaml

from tests.appliance.bed import Bed
from tests.world.process import LabError, eventually, run, unpacked

PORT = 9090
CONFIGURATION = """\
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [meshbox.rules.yml]
scrape_configs:
  - job_name: files
    file_sd_configs: [{files: ["*.target.yml"]}]
"""
METRIC = re.compile(r"\b(?:meshbox|process)_\w+")
SERIES = re.compile(r"_(bucket|sum|count)$")


class Prometheus:
    """On a host of its own. `files` is where the playbook shall write."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed
        self.host = bed.host("watch")
        self.address = str(bed.cables["watch"].address)
        self.files = bed.directory / "prometheus"

    def start(self) -> None:
        (self.files / "prometheus.yml").write_text(CONFIGURATION)
        daemon = self._bed.start(
            "prometheus", self.host, unpacked("prometheus", "usr/bin/prometheus"),
            f"--config.file={self.files}/prometheus.yml", f"--storage.tsdb.path={self.files}/data",
            f"--web.listen-address=127.0.0.1:{PORT}",
        )  # fmt: skip
        daemon.ready(lambda: self.host.run("curl", "-fs", self._url("status/config"), check=False).code == 0,
                     20, "answers")  # fmt: skip

    def check_rules(self) -> str:
        """What promtool says of the rules. Raises LabError when it objects."""
        promtool = unpacked("prometheus", "usr/bin/promtool")
        return run([promtool, "check", "rules", str(self.files / "meshbox.rules.yml")]).text

    def ask(self, path: str) -> Any:
        return json.loads(self.host.run("curl", "-fsS", self._url(path)).out)["data"]

    def value(self, query: str) -> dict[str, str]:
        """What an instant query gives, by job."""
        found = self.ask(f"query?query={quote(query)}")["result"]
        return {one["metric"].get("job", ""): one["value"][1] for one in found}

    def reads_both(self) -> None:
        wanted = {"meshbox": "1", "node": "1"}
        eventually(lambda: self.value("up") == wanted, 20, "both targets are read", every=0.5)

    def alerts(self) -> dict[str, str]:
        """State of each rule by its name; a rule that cannot be evaluated is `err`."""
        groups = self.ask("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        return {rule["name"]: rule["state"] if rule["health"] == "ok" else rule["health"] for rule in rules}

    def is_quiet(self) -> bool:
        states = self.alerts()
        if set(states.values()) == {"inactive"}:
            return True
        raise LabError(f"the alerts are {states}")

    def unknown(self) -> set[str]:
        """Figures that the rules or the dashboard ask for and nobody gives."""
        rules = yaml.safe_load((self.files / "meshbox.rules.yml").read_text())
        asked = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
        asked += re.findall(r'"expr": "(.*)"', (self.files / "meshbox.dashboard.json").read_text())
        names = {SERIES.sub("", name) for expression in asked for name in METRIC.findall(expression)}
        assert len(names) > 15
        return names - set(self.ask("metadata"))

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{PORT}/api/v1/{path}"
