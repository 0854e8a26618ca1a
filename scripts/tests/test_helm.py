"""The Helm chart: which values it refuses, and what the objects of each way to install contain."""

from __future__ import annotations

import copy
import json
import re
import sys
import tempfile
import textwrap
import unittest
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import helm, helm_tools  # noqa: E402  (the scripts are no installed package)
from lib.project import ROOT, Problem  # noqa: E402

SERVICES = ("ingress", "fetcher", "judge", "reporter")
# Settings that only the command `gavel` has, and those that the chart computes.
OF_GAVEL = {"NATS_SERVER", "DATA_DIR", "NATS_PORT", "NATS_SYNC_INTERVAL", "CONSOLE_KEY"}
OF_THE_CHART = {"PORT", "INSTANCE", "SHUTDOWN_GRACE_MS", "JUDGE_SLOTS"}
MOUNT = "/run/secrets/gavel"


def setUpModule() -> None:
    helm_tools.ensure()


def schema() -> dict[str, Any]:
    """values.schema.json."""
    content: dict[str, Any] = json.loads((ROOT / helm.CHART / "values.schema.json").read_text(encoding="utf-8"))
    return content


class Chart(unittest.TestCase):
    def setUp(self) -> None:
        with ExitStack() as stack:
            self.chart = stack.enter_context(helm.chart())
            self.addCleanup(stack.pop_all().close)

    def objects(self, name: str, *settings: str) -> list[dict[str, Any]]:
        """The objects for a file in scripts/tests/helm."""
        return helm.objects(self.chart, helm.VALUES / f"{name}.yaml", *settings)

    def one(self, name: str, kind: str, service: str, *settings: str) -> dict[str, Any]:
        """The object of a kind for a service."""
        found = [each for each in self.objects(name, *settings)
                 if each["kind"] == kind and each["metadata"]["name"] == f"gavel-{service}"]
        self.assertEqual(len(found), 1, found)
        return found[0]

    def pod(self, name: str, service: str, *settings: str) -> dict[str, Any]:
        """The specification of a service's pods."""
        spec: dict[str, Any] = self.one(name, "Deployment", service, *settings)["spec"]["template"]["spec"]
        return spec

    def env(self, name: str, service: str, *settings: str) -> dict[str, str]:
        """The variables of a service, without those that Kubernetes sets."""
        variables = self.pod(name, service, *settings)["containers"][0]["env"]
        return {each["name"]: each["value"] for each in variables if "value" in each}


class Values(Chart):
    def test_version_is_that_of_the_programs(self) -> None:
        manifest = (ROOT / "Cargo.toml").read_text(encoding="utf-8")
        version = re.search(r'^version = "(.+)"$', manifest, re.MULTILINE)
        assert version is not None
        text = (ROOT / helm.CHART / "Chart.yaml").read_text(encoding="utf-8")
        self.assertEqual(re.findall(r"^(?:version|appVersion): (.+)$", text, re.MULTILINE), [version[1]] * 2)

    def test_settings_and_secrets_are_those_of_default_env(self) -> None:
        text = (ROOT / "deploy" / "default.env").read_text(encoding="utf-8")
        all_settings = re.findall(r"^#([A-Z0-9_]+)=", text, re.MULTILINE)
        properties = schema()["properties"]
        allowed = [*properties["settings"]["properties"], *properties["secrets"]["properties"], *OF_GAVEL, *OF_THE_CHART]
        self.assertEqual(sorted(allowed), sorted(all_settings))

    def test_schema_refuses_unknown_names_everywhere(self) -> None:
        # The values of NATS's chart, and what Helm adds.
        free = {"nats", "global"}
        for name, node in schema()["properties"].items():
            if name in free or node.get("type") != "object":
                continue
            with self.subTest(name=name), self.assertRaisesRegex(Problem, f"at '/{name}': additional properties 'unknown' not"):
                helm.template(self.chart, helm.VALUES / "minimal.yaml", f"{name}.unknown=x")

    def test_wrong_values_are_refused_with_the_reason(self) -> None:
        for settings, reason in (
                (["settings.CONVEX_SITE_URL=example.convex.site"], r"/settings/CONVEX_SITE_URL': .*does not match pattern"),
                (["settings.CONVEX_SITE_URL=null"], r"at '/settings/CONVEX_SITE_URL': got null, want string"),
                (["settings.CONVEX_TOKEN=a-secret"], r"at '/settings': additional properties 'CONVEX_TOKEN' not allowed"),
                (["settings.JUDGE_SLOT=3"], r"additional properties 'JUDGE_SLOT' not allowed"),
                (["secrets.CONVEX_TOKEN=a-secret"], r"at '/secrets/CONVEX_TOKEN': got string, want object"),
                (["secrets.CONVEX_TOKEN.secret=gavel"], r"at '/secrets/CONVEX_TOKEN': missing property 'key'"),
                (["unknown=1"], r"additional properties 'unknown' not allowed"),
                (["judge.slots=0"], r"at '/judge/slots': minimum: got 0, want 1"),
                (["judge.slots=two"], r"at '/judge/slots': got string, want integer"),
                (["judge.isolation=chroot"], r"at '/judge/isolation': value must be one of 'privileged', "),
                (["judge.autoscaling.type=vpa"], r"value must be one of 'keda', 'hpa', 'none'"),
                (["judge.autoscaling.minReplicas=0"], r"minimum: got 0, want 1"),
                (["judge.autoscaling.keda.monitoringEndpoint=http://nats:8222"], r"does not match pattern"),
                (["ingress.route.enabled=true"], r"at '/ingress/route/host': minLength"),
                (["networkPolicy.natsTo=[]"], r"at '/networkPolicy/natsTo': got string, want array"),
                (["settings.NATS_URL="], r"set settings.NATS_URL to the address of NATS, .* or nats.enabled=true"),
                (["judge.autoscaling.type=keda"], r"set judge.autoscaling.keda.monitoringEndpoint to the monitoring of"),
                (["judge.autoscaling.minReplicas=11"], r"judge.autoscaling.minReplicas=11 exceeds maxReplicas=10"),
                (["judge.isolation=none"], r"judge.isolation=none is for settings.ENGINE=judge0")):
            with self.subTest(settings=settings), self.assertRaisesRegex(Problem, reason):
                helm.template(self.chart, helm.VALUES / "minimal.yaml", *settings)

    def test_values_in_the_documentation_are_accepted(self) -> None:
        text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
        section = text[text.index("## Install with Helm"):]
        example = re.search(r"^ +```yaml\n(.+?)^ +```", section, re.MULTILINE | re.DOTALL)
        assert example is not None
        with tempfile.TemporaryDirectory() as folder:
            values = Path(folder) / "values.yaml"
            values.write_text(textwrap.dedent(example[1]), encoding="utf-8")
            self.assertIn("image: registry.example.com/gavel-judge:", helm.template(self.chart, values))

    def test_notes_say_what_is_missing(self) -> None:
        notes = helm.template(self.chart, helm.VALUES / "minimal.yaml", notes=True)
        self.assertIn("http://gavel-ingress.judging.svc:80/v1/judge-question", notes)
        self.assertIn("WARNING: the ingress requires no key. Set secrets.INGRESS_KEYS.", notes)
        self.assertIn("WARNING: calls to Convex carry neither a token nor a signature.", notes)
        notes = helm.template(self.chart, helm.VALUES / "production.yaml", notes=True)
        self.assertIn("https://judge.example.com/v1/judge-question", notes)
        self.assertIn("NATS_NKEY=deploy.nk gavel streams", notes)
        self.assertNotIn("WARNING", notes)


class Pods(Chart):
    def test_settings_reach_the_services_as_they_are(self) -> None:
        for service in SERVICES:
            env = self.env("production", service)
            self.assertEqual((env["NATS_MAKE_STREAMS"], env["NATS_STORE_BYTES"]), ("false", "53687091200"))
            self.assertEqual(env["BIND_ADDRESS"], "0.0.0.0")
        self.assertEqual(self.env("production", "judge")["JUDGE_SLOTS"], "4")
        self.assertEqual(self.env("minimal", "ingress", "settings.BIND_ADDRESS=::")["BIND_ADDRESS"], "::")

    def test_probes_use_the_port_that_the_service_listens_on(self) -> None:
        for service in SERVICES:
            container = self.pod("minimal", service)["containers"][0]
            port = container["ports"][0]
            self.assertEqual(str(port["containerPort"]), self.env("minimal", service)["PORT"])
            for probe, path in (("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
                self.assertEqual(container[probe]["httpGet"], {"path": path, "port": port["name"]})

    def test_pods_are_not_killed_before_the_service_has_stopped(self) -> None:
        for settings in ([], ["judge.shutdownGraceSeconds=1200", "ingress.shutdownGraceSeconds=60"]):
            for service in SERVICES:
                pod = self.pod("minimal", service, *settings)
                grace = int(self.env("minimal", service, *settings)["SHUTDOWN_GRACE_MS"]) / 1000
                sleep = pod["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
                self.assertGreaterEqual(pod["terminationGracePeriodSeconds"], grace + sleep + 10, service)
                self.assertEqual(sleep > 0, service == "ingress")

    def test_services_have_only_the_secrets_that_they_read(self) -> None:
        nats = {"NATS_NKEY", "NATS_CA"}
        expected = {"ingress": nats | {"INGRESS_KEYS"}, "judge": nats,
                    "fetcher": nats | {"CONVEX_TOKEN", "CONVEX_SIGNING_SECRETS"},
                    "reporter": nats | {"CONVEX_TOKEN", "CONVEX_SIGNING_SECRETS"}}
        for service, names in expected.items():
            sources = self.pod("production", service)["volumes"][0]["projected"]["sources"]
            mounted = {source["secret"]["items"][0]["path"]: source["secret"]["items"][0]["key"] for source in sources}
            self.assertEqual(set(mounted), names)
            self.assertEqual(mounted["NATS_NKEY"], f"{service}.nk")
            env = self.env("production", service)
            paths = {name: value for name, value in env.items() if value.startswith(MOUNT)}
            suffixes = {name: "" if name in nats else "_FILE" for name in names}
            self.assertEqual(paths, {name + suffix: f"{MOUNT}/{name}" for name, suffix in suffixes.items()})
        env = self.env("judge0", "judge")
        self.assertEqual(env["JUDGE0_API_KEY_FILE"], f"{MOUNT}/JUDGE0_API_KEY")
        self.assertEqual((env["NATS_USER"], env["NATS_PASSWORD_FILE"]), ("gavel", f"{MOUNT}/NATS_PASSWORD"))

    def test_judge_has_the_privileges_of_its_isolation(self) -> None:
        capabilities = {"drop": ["ALL"], "add": ["CHOWN", "SETGID", "SETUID"]}
        for name, host_users, tier, expected in (
                ("minimal", None, None, {"privileged": True, "readOnlyRootFilesystem": True}),
                ("user-namespace", False, "no-cgroup", {
                    "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": capabilities,
                    "procMount": "Unmasked", "seccompProfile": {"type": "Localhost", "localhostProfile": "gavel/judge.json"},
                    "appArmorProfile": {"type": "Unconfined"}})):
            pod = self.pod(name, "judge")
            self.assertEqual(pod["containers"][0]["securityContext"], expected)
            self.assertEqual((pod.get("hostUsers"), self.env(name, "judge").get("SANDBOX_TIER")), (host_users, tier))
            self.assertEqual(pod["securityContext"], {"runAsUser": 0})
        pod = self.pod("user-namespace", "judge", "judge.runtimeClass=writable-cgroups", "settings.SANDBOX_TIER=auto")
        self.assertEqual(pod["runtimeClassName"], "writable-cgroups")
        self.assertIn({"name": "SANDBOX_TIER", "value": "auto"}, pod["containers"][0]["env"])
        self.assertNotIn("hostUsers", self.pod("user-namespace", "fetcher"))

    def test_pods_have_no_token_and_no_privileges(self) -> None:
        for name, services in (("production", ("ingress", "fetcher", "reporter")), ("judge0", SERVICES)):
            for service in services:
                pod = self.pod(name, service)
                self.assertIs(pod["securityContext"]["runAsNonRoot"], True)
                self.assertEqual(pod["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
                self.assertEqual(pod["containers"][0]["securityContext"], {
                    "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}})
        for service in SERVICES:
            self.assertIs(self.pod("production", service)["automountServiceAccountToken"], False)

    def test_one_judge_on_a_node_needs_no_further_node_for_an_update(self) -> None:
        deployment = self.one("minimal", "Deployment", "judge")
        terms = deployment["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"][
            "requiredDuringSchedulingIgnoredDuringExecution"]
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        self.assertEqual([term["topologyKey"] for term in terms], ["kubernetes.io/hostname"])
        self.assertLess(terms[0]["labelSelector"]["matchLabels"].items(), labels.items())
        self.assertEqual(deployment["spec"]["strategy"]["rollingUpdate"]["maxSurge"], 0)
        self.assertNotIn("affinity", self.pod("judge0", "judge"))

    def test_selectors_match_the_pods_of_one_service(self) -> None:
        objects = self.objects("monitoring")
        pods = {each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"]
                for each in objects if each["kind"] == "Deployment"}
        self.assertEqual(len(pods), 4)
        selectors = {"Service": lambda spec: spec["selector"], "NetworkPolicy": lambda spec: spec["podSelector"]["matchLabels"],
                     "PodDisruptionBudget": lambda spec: spec["selector"]["matchLabels"]}
        for thing in objects:
            if thing["kind"] in selectors:
                selector = selectors[thing["kind"]](thing["spec"])
                matching = [name for name, labels in pods.items() if selector.items() <= labels.items()]
                self.assertEqual(matching, [thing["metadata"]["name"]], thing["kind"])


class Network(Chart):
    def egress(self, name: str, service: str) -> list[dict[str, Any]]:
        """What a service may connect to."""
        spec = self.one(name, "NetworkPolicy", service)["spec"]
        self.assertEqual(spec["policyTypes"], ["Ingress", "Egress"])
        rules: list[dict[str, Any]] = spec["egress"]
        return rules

    def test_judge_reaches_only_dns_and_nats(self) -> None:
        dns = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
               "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}]}
        outside = {"ports": [{"port": 4222}], "to": [{"ipBlock": {"cidr": "10.20.0.0/28"}}]}
        inside = {"ports": [{"port": 4222}], "to": [{"podSelector": {"matchLabels": {
            "app.kubernetes.io/name": "nats", "app.kubernetes.io/instance": "gavel"}}}]}
        for service in ("judge", "ingress"):
            self.assertEqual(self.egress("production", service), [dns, outside])
            self.assertEqual(self.egress("nats", service), [dns, inside])

    def test_fetcher_and_reporter_reach_convex(self) -> None:
        for service in ("fetcher", "reporter"):
            self.assertEqual(self.egress("production", service)[2], {"ports": [{"port": 443}]})
        self.assertEqual(len(self.egress("production", "fetcher")), 4)

    def test_only_named_peers_reach_the_services(self) -> None:
        proxy, prometheus = ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
                             for name in ("ingress-nginx", "monitoring"))
        rules = {service: self.one("production", "NetworkPolicy", service)["spec"].get("ingress") for service in SERVICES}
        self.assertEqual(rules["ingress"], [{"ports": [{"port": "http"}], "from": [proxy, prometheus]}])
        self.assertEqual(rules["judge"], [{"ports": [{"port": "http"}], "from": [prometheus]}])
        # Without a rule, no connection is allowed.
        self.assertNotIn("ingress", self.one("minimal", "NetworkPolicy", "judge")["spec"])
        self.assertEqual(self.one("minimal", "NetworkPolicy", "ingress")["spec"]["ingress"], [{"ports": [{"port": "http"}]}])

    def test_route_forwards_only_the_api(self) -> None:
        spec = next(each for each in self.objects("production") if each["kind"] == "Ingress")["spec"]
        self.assertEqual([path["path"] for path in spec["rules"][0]["http"]["paths"]], ["/v1/"])
        self.assertEqual(spec["tls"], [{"hosts": ["judge.example.com"], "secretName": "judge-tls"}])


class Monitoring(Chart):
    def test_alerts_and_dashboard_are_those_of_deploy(self) -> None:
        import yaml  # pylint: disable=import-outside-toplevel

        objects = self.objects("monitoring")
        alerts = yaml.safe_load((ROOT / "deploy" / "prometheus" / "gavel.rules.yml").read_text(encoding="utf-8"))
        rules = next(each for each in objects if each["kind"] == "PrometheusRule")
        self.assertEqual(rules["spec"]["groups"][1:], alerts["groups"])
        dashboard = next(each for each in objects if each["kind"] == "ConfigMap")
        self.assertEqual(dashboard["data"]["gavel.json"], (ROOT / "deploy" / "grafana" / "gavel.json").read_text(encoding="utf-8"))

    def test_metrics_keep_their_label_service(self) -> None:
        monitor = next(each for each in self.objects("monitoring") if each["kind"] == "ServiceMonitor")
        self.assertEqual(monitor["spec"]["endpoints"], [{"port": "http", "path": "/metrics", "interval": "15s", "honorLabels": True}])
        services = [each for each in self.objects("monitoring") if each["kind"] == "Service"]
        for service in services:
            self.assertLessEqual(monitor["spec"]["selector"]["matchLabels"].items(), service["metadata"]["labels"].items())
        self.assertEqual(len(services), 4)


class Checks(Chart):
    """The checks of scripts/helm find what is wrong."""

    def broken(self, name: str, kind: str, change: Any) -> list[str]:
        """The problems of an object after a change."""
        from lib import kubernetes  # pylint: disable=import-outside-toplevel

        thing = copy.deepcopy(next(each for each in self.objects(name) if each["kind"] == kind))
        self.assertEqual(kubernetes.problems(thing), [])
        change(thing)
        return kubernetes.problems(thing)

    def test_schemas_refuse_unknown_fields_and_wrong_types(self) -> None:
        for name, kind, field in (("monitoring", "Deployment", "replicas"), ("monitoring", "HorizontalPodAutoscaler", "minReplicas"),
                                  ("monitoring", "NetworkPolicy", "podSelector"), ("nats", "ScaledObject", "maxReplicaCount"),
                                  ("monitoring", "PrometheusRule", "groups"), ("monitoring", "ServiceMonitor", "endpoints")):
            with self.subTest(kind=kind):
                found = self.broken(name, kind, lambda thing: thing["spec"].update(unknown=1))
                self.assertTrue(any("unknown" in each or "Extra inputs" in each for each in found), found)
                found = self.broken(name, kind, lambda thing, field=field: thing["spec"].update({field: "wrong"}))
                self.assertTrue(any(f"spec.{field}" in each for each in found), found)

    def test_kubectl_reads_every_object(self) -> None:
        from lib import kubernetes  # pylint: disable=import-outside-toplevel

        objects = self.objects("production")
        self.assertEqual(kubernetes.kubectl_problems(objects), [])
        deployment = next(each for each in objects if each["kind"] == "Deployment")
        deployment["spec"]["replicas"] = "three"
        found = kubernetes.kubectl_problems(objects)
        self.assertRegex(found[0], "cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas")


if __name__ == "__main__":
    unittest.main()
