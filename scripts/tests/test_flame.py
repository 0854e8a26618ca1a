"""Flame graphs: what recorded stacks cost, and what the bench and perf print."""

from __future__ import annotations

import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import cargo_tools, flame, stacks  # noqa: E402  (the scripts are no installed package)
from lib.project import Problem  # noqa: E402

WORKER = "tokio-rt-worker;tokio::runtime::scheduler::multi_thread::worker::run;tokio::runtime::task::core::Core<T,S>::poll"
GO = "nats-server;runtime.goexit.abi0;github.com/nats-io/nats-server/v2/server.(*client).readLoop"


class Costs(unittest.TestCase):
    def test_innermost_frame_that_matches_decides(self) -> None:
        read = f"{WORKER};async_nats::connection::Connection::poll_read_op"
        for stack, cost in (
                (f"{read};core::hash::sip::Hasher<S>::write", "NATS client"),
                (f"{read};alloc::raw_vec::RawVecInner<A>::finish_grow;mi_malloc_aligned", "allocation"),
                (f"{WORKER};gavel_convex::client::Convex::post::{{{{closure}}}};url::parser::Parser::parse_url",
                 "parsing of URLs"),
                (f"{WORKER};<tracing::instrument::Instrumented<T> as core::future::future::Future>::poll",
                 "Gavel's code, and what is inlined in it"),
                (f"{WORKER};__GI___writev;entry_SYSCALL_64_after_hwframe;do_syscall_64;do_writev;tcp_sendmsg;tcp_v4_rcv",
                 "sockets: sending"),
                (f"{WORKER};syscall;do_syscall_64;do_futex;schedule;finish_task_switch.isra.0",
                 "threads: waiting, waking and switching"),
                (f"{GO};github.com/nats-io/nats-server/v2/server.(*client).parse;runtime.mapaccess2_faststr",
                 "protocol and routing of messages"),
                (f"{GO};github.com/nats-io/nats-server/v2/server.(*fileStore).StoreMsg;runtime.mallocgc", "allocation"),
                (f"{GO};github.com/nats-io/nats-server/v2/server.(*msgBlock).writeMsgRecordLocked", "storage"),
                ("nats-server;runtime.goexit.abi0;runtime.gcBgMarkWorker.func2;runtime.gcDrain", "garbage collection"),
                ("tokio-rt-worker;[unknown]", stacks.OTHER)):
            with self.subTest(stack):
                self.assertEqual(stacks.cost(stack), cost)

    def test_shares_are_those_of_the_samples(self) -> None:
        found = stacks.shares({f"{WORKER};serde_json::de::from_trait": 6, f"{WORKER};serde_json::de::from_slice": 1,
                               f"{WORKER};prost::encoding::varint::encode_varint": 3})
        self.assertEqual(found, [("JSON", 0.7), ("protobuf", 0.3)])


class Recording(unittest.TestCase):
    def test_processes_are_read_from_the_bench(self) -> None:
        lines = iter(["\n", "load begins on ingress 12, nats-server 345\n"])
        self.assertEqual(flame.wait_for_load(lines), {"ingress": 12, "nats-server": 345})
        with self.assertRaisesRegex(Problem, "ended before its load began"):
            flame.wait_for_load(iter([]))

    def test_cpu_times_are_read_from_the_bench(self) -> None:
        output = ('{"bench":"cost","metric":"paced_per_s","value":1500.0}\n'
                  'noise\n{"bench":"cost","metric":"nats-server_cpu_us","value":200.5}\n')
        self.assertEqual(flame.cpu_us(output), {"nats-server": 200.5})

    def test_missing_perf_is_a_problem_that_names_the_package(self) -> None:
        with mock.patch.object(flame, "find", return_value=None), \
                self.assertRaisesRegex(Problem, "apt-get install linux-perf"):
            flame.perf()


class Inferno(unittest.TestCase):
    def test_only_the_pinned_version_is_not_built_again(self) -> None:
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(cargo_tools, "TOOLS", Path(folder)), \
                mock.patch.object(cargo_tools, "build") as build:
            for version, builds in ((None, 1), ("0.1.0", 2), (cargo_tools.INFERNO, 2)):
                if version:
                    (Path(folder) / ".crates.toml").write_text(f'[v1]\n"inferno {version} (registry)" = []\n')
                cargo_tools.ensure_inferno()
                self.assertEqual(build.call_count, builds)


if __name__ == "__main__":
    unittest.main()
