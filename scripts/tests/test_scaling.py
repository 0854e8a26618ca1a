"""The number of judges that the Helm chart's rules ask for, from what nats-server and a reporter report under load."""

from __future__ import annotations

import json
import math
import re
import sys
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import helm, helm_tools, nats_server, promtool  # noqa: E402  (the scripts are no installed package)
from lib.convex_app import ConvexApp  # noqa: E402
from lib.ingress import Server  # noqa: E402
from lib.programs import program  # noqa: E402
from lib.project import environment  # noqa: E402
from lib.stack import Stack, free_ports  # noqa: E402

SLOTS = 2
SUBMISSIONS = 9
# Runs until its time limit, 20 s. Meanwhile the test reads the load.
SLEEPS = "import time\ntime.sleep(60)\n"
PYTHON = 71
WAIT_SECONDS = 60


def setUpModule() -> None:
    helm_tools.ensure()


def get(url: str, body: bytes | None = None) -> str:
    """What a server answers, to a POST if there is a body."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, body, {"content-type": "application/json"}), timeout=20) as answer:
        text: str = answer.read().decode()
        return text


def judges(values: str, kind: str, *settings: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The object that scales the judges, and all objects, for a judge with SLOTS slots."""
    with helm.chart() as chart:
        objects = helm.objects(chart, helm.VALUES / f"{values}.yaml", f"judge.slots={SLOTS}", *settings)
    return next(each for each in objects if each["kind"] == kind), objects


def replicas(load: float, target: float, least: int, most: int) -> int:
    """The number that a HorizontalPodAutoscaler asks for, if a metric has an average value as its target."""
    return min(max(math.ceil(load / target), least), most)


def keda_load(metadata: dict[str, str], monitoring: str) -> int:
    """What KEDA's scaler nats-jetstream counts: it reads this page, and adds these two numbers of the consumer."""
    page = json.loads(get(f"{monitoring}/jsz?acc={metadata['account']}&consumers=true&config=true"))
    account = next(each for each in page["account_details"] if each["name"] == metadata["account"])
    stream = next(each for each in account["stream_detail"] if each["name"] == metadata["stream"])
    consumer = next(each for each in stream["consumer_detail"] if each["name"] == metadata["consumer"])
    count: int = consumer["num_pending"] + consumer["num_ack_pending"]
    return count


def queue_series(metrics: str) -> dict[str, float]:
    """The lengths of all queues in an answer of /metrics, as two reporters report them."""
    found = re.findall(r"^(gavel_queue_(?!oldest)\w+\{.+)\} (\S+)$", metrics, re.MULTILINE)
    return {f'{labels},instance="{instance}"}}': float(value) for labels, value in found for instance in "ab"}


def sum_of_judge(series: dict[str, float]) -> float:
    """Waiting and in progress at the judges, as one reporter reports them."""
    return sum(value for name, value in series.items() if 'consumer="judge"' in name and 'instance="a"' in name)


class Load(unittest.TestCase):
    """One judge with SLOTS slots, and SUBMISSIONS that take longer than it takes to read the load."""

    idle: int
    waiting: int
    series: dict[str, float]

    @classmethod
    def setUpClass(cls) -> None:
        folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="gavel-scaling-")))
        ports = free_ports(usual_first=False)
        # The second is that of the monitoring.
        command = [str(nats_server.ensure()), "--jetstream", "--store_dir", str(folder / "store"), "--addr", "127.0.0.1",
                   "--port", str(ports.nats), "--http_port", str(ports.first)]
        nats = Server(command, environment(), folder / "nats.log", ports.first)
        cls.addClassCleanup(nats.stop)
        nats.wait_until("/healthz", 200)
        app = cls.enterClassContext(ConvexApp())
        settings = {"CONVEX_SITE_URL": app.url, "NATS_URL": f"nats://127.0.0.1:{ports.nats}", "NATS_STORE_BYTES": str(1 << 28),
                    "JUDGE_SLOTS": str(SLOTS), "SHUTDOWN_GRACE_MS": "1000"}
        gavel = cls.enterClassContext(Stack(Path(program("gavel")), "", settings=settings))
        metadata = judges("nats", "ScaledObject")[0]["spec"]["triggers"][0]["metadata"]
        cls.idle = keda_load(metadata, nats.url)
        for number in range(SUBMISSIONS):
            submission = {"submissionId": f"s{number}", "questionId": "print-one", "languageId": PYTHON, "sourceCode": SLEEPS,
                          "submissionKind": "standard"}
            get(f"{gavel.ingress_url}/v1/judge-question", json.dumps(submission).encode())
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            cls.waiting = keda_load(metadata, nats.url)
            cls.series = queue_series(get(f"http://127.0.0.1:{gavel.ports.first + 3}/metrics"))
            if cls.waiting == sum_of_judge(cls.series) == SUBMISSIONS or time.monotonic() > deadline:
                return
            time.sleep(0.1)

    def test_both_count_what_waits_and_what_is_in_progress(self) -> None:
        self.assertEqual((self.idle, self.waiting), (0, SUBMISSIONS))
        values = {name: value for name, value in self.series.items() if 'consumer="judge"' in name and 'instance="a"' in name}
        self.assertEqual(sorted(values.values()), [SLOTS, SUBMISSIONS - SLOTS])

    def test_keda_asks_for_a_slot_for_each_submission(self) -> None:
        for settings, load, expected in (([], self.waiting, 5), (["judge.autoscaling.submissionsPerSlot=2"], self.waiting, 3),
                                         (["judge.autoscaling.maxReplicas=4"], self.waiting, 4), ([], self.idle, 1),
                                         (["judge.autoscaling.minReplicas=3"], self.idle, 3)):
            spec = judges("nats", "ScaledObject", *settings)[0]["spec"]
            target = int(spec["triggers"][0]["metadata"]["lagThreshold"])
            found = replicas(load, target, spec["minReplicaCount"], spec["maxReplicaCount"])
            self.assertEqual(found, expected, settings)

    def test_number_of_judges_is_left_to_the_scaler(self) -> None:
        for values, kind in (("nats", "ScaledObject"), ("monitoring", "HorizontalPodAutoscaler")):
            scaler, objects = judges(values, kind)
            name = scaler["spec"]["scaleTargetRef"]["name"]
            target = next(each for each in objects if each["kind"] == "Deployment" and each["metadata"]["name"] == name)
            self.assertNotIn("replicas", target["spec"])
            self.assertIn({"name": "JUDGE_SLOTS", "value": str(SLOTS)}, target["spec"]["template"]["spec"]["containers"][0]["env"])

    def test_metric_asks_for_the_same(self) -> None:
        scaler, objects = judges("monitoring", "HorizontalPodAutoscaler")
        groups = next(each for each in objects if each["kind"] == "PrometheusRule")["spec"]["groups"]
        metric = scaler["spec"]["metrics"][0]["external"]
        self.assertEqual(promtool.wrong_values(groups, self.series, {metric["metric"]["name"]: SUBMISSIONS}), [])
        self.assertIn("exp:", promtool.wrong_values(groups, self.series, {metric["metric"]["name"]: 2 * SUBMISSIONS})[0])
        found = replicas(SUBMISSIONS, int(metric["target"]["averageValue"]), scaler["spec"]["minReplicas"],
                         scaler["spec"]["maxReplicas"])
        self.assertEqual(found, 5)


if __name__ == "__main__":
    unittest.main()
