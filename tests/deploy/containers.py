"""Runs what deploy/compose.yaml and deploy/Dockerfile say without a container daemon.

Each container is a process in namespaces of its own (mounts, processes, network), in an overlay of a root file system: that of
an image where IMAGE_ROOT names one, else this machine's, with the installed program in it. What the files say of users,
capabilities, read-only roots, tmpfs, volumes, secrets, environment, commands, health checks and start order is applied as a
container daemon applies it. Needs root and Linux. The images of others are not to be had here: `Image` says how each is
stood in for, on the path that its entry point takes.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "deploy" / "compose.yaml"
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
# The root file system of the built image (`make deploy-proof`).
IMAGE_ROOT = os.environ.get("CONFLICTWIRE_IMAGE_ROOT")
SUBNET = "10.213.7"

_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?::-([^}]*))?\})")


# --- what the files say ---


def interpolate(value: Any, variables: Mapping[str, str]) -> Any:
    """`value` with `${NAME:-default}` filled in and `$$` undone (compose-spec, 12-interpolation)."""
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: found[1] or variables.get(found[2]) or found[3] or "", value)
    if isinstance(value, list):
        return [interpolate(each, variables) for each in value]
    if isinstance(value, dict):
        return {name: interpolate(each, variables) for name, each in value.items()}
    return value


def load_compose(variables: Mapping[str, str]) -> dict[str, Any]:
    """The compose file as `docker compose config` would have it, as far as it is used here."""
    document: dict[str, Any] = interpolate(yaml.safe_load(COMPOSE.read_text(encoding="utf-8")), variables)
    return document


def instructions(text: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile and their arguments, continued lines joined, comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    pairs = (line.strip().split(None, 1) for line in joined.splitlines() if line.strip())
    return [(pair[0].upper(), pair[1].strip() if len(pair) > 1 else "") for pair in pairs]


@dataclass(frozen=True, slots=True)
class Image:
    """What an image brings: `before` is run by a shell ahead of the command, as the image's entry point does."""

    user: tuple[int, int] = (0, 0)
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    health: dict[str, Any] = field(default_factory=dict)
    before: str = ""


def own_image() -> Image:
    """What the last stage of deploy/Dockerfile says."""
    environment: dict[str, str] = {"PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"}
    found: dict[str, Any] = {}
    for name, said in instructions(DOCKERFILE.read_text(encoding="utf-8")):
        match name:
            case "FROM":
                environment, found = {"PATH": environment["PATH"]}, {}
            case "ENV":
                for pair in shlex.split(said):
                    key, _, value = pair.partition("=")
                    environment[key] = value.replace("$PATH", environment["PATH"])
            case "USER":
                user, group = said.split(":")
                found["user"] = (int(user), int(group))
            case "ENTRYPOINT" | "CMD":
                found["command" if name == "CMD" else "entrypoint"] = json.loads(said)
            case "HEALTHCHECK":
                options, _, test = said.partition("CMD ")
                found["health"] = dict(re.findall(r"--([\w-]+)=(\S+)", options)) | {"test": ["CMD", *json.loads(test)]}
    return Image(environment=environment, **found)


# As in the image, in short; JSON is YAML too.
_LOG4J = json.dumps(
    {
        "Configuration": {
            "Appenders": {"Console": {"name": "STDOUT", "PatternLayout": {"pattern": "%p %m%n"}}},
            "Loggers": {
                "Root": {"level": "WARN", "AppenderRef": [{"ref": "STDOUT"}]},
                "Logger": [{"name": "kafka", "level": "WARN"}],
            },
        }
    }
)


def kafka_image(libs: Path) -> Image:
    """docker.io/apache/kafka: the image's own entry point is a class in Kafka's jars, which turns the environment into a
    configuration and formats the log folder; then the server runs (docker/jvm in Kafka's sources)."""
    java = f"java -Djava.net.preferIPv4Stack=true -cp '{libs}/*'"
    before = f"""
        mkdir -p /tmp/default /tmp/mounted /tmp/config
        printf 'log.dirs=/tmp/kraft-combined-logs\\n' > /tmp/default/server.properties
        echo '{_LOG4J}' | tee /tmp/default/log4j2.yaml > /tmp/default/tools-log4j2.yaml
        {java} kafka.docker.KafkaDockerWrapper setup --default-configs-dir /tmp/default \
            --mounted-configs-dir /tmp/mounted --final-configs-dir /tmp/config
    """
    server = f"exec {java} -XX:TieredStopAtLevel=1 -XX:+UseSerialGC $KAFKA_HEAP_OPTS kafka.Kafka /tmp/config/server.properties"
    return Image(user=(1000, 1000), command=["sh", "-c", server], before=before)


def postgres_image(binaries: Path, uid: int, gid: int) -> Image:
    """docker.io/library/postgres: initdb and the database as POSTGRES_* say, then the server (docker-entrypoint.sh)."""
    before = f"""
        PATH={binaries}:$PATH
        if [ ! -s "$PGDATA/PG_VERSION" ]; then
            initdb -U "$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" $POSTGRES_INITDB_ARGS -D "$PGDATA" > /dev/null
            echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
            printf "listen_addresses='*'\\nunix_socket_directories='/tmp'\\nfsync=off\\n" >> "$PGDATA/postgresql.conf"
            echo "CREATE DATABASE \\"$POSTGRES_DB\\"" | postgres --single -j -D "$PGDATA" postgres > /dev/null
        fi
    """
    return Image((uid, gid), command=["postgres"], before=before, environment={"PATH": f"{binaries}:/usr/bin:/bin"})


# --- containers ---


def sh(*command: str | Path) -> None:
    """Run a command of the machine's; its error output is the error."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(map(str, command))}: {done.stderr or done.stdout}")


def seconds(said: str | None, default: float) -> float:
    """A duration such as `1m30s`."""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    parts = re.findall(r"([\d.]+)(ms|s|m|h)", said or "")
    return sum(float(number) * units[unit] for number, unit in parts) if parts else default


# $1 the scratch folder, $2 the lower root, $3 the file with what to mount, $4 whether the root is read-only, then the command.
_RUNTIME = r"""
set -e
scratch=$1 lower=$2 plan=$3 readonly=$4; shift 4
mount -t tmpfs tmpfs "$scratch"
mkdir "$scratch/up" "$scratch/work" "$scratch/root"
root=$scratch/root
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$scratch/up,workdir=$scratch/work" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t sysfs -o ro sysfs "$root/sys"
. "$plan"
[ "$readonly" = no ] || mount -o remount,bind,ro "$root"
exec chroot "$root" "$@"
"""


@dataclass
class Container:
    """One container, running or ended. `log` has what it wrote on either stream, `out` standard output alone."""

    name: str
    service: dict[str, Any]
    image: Image
    process: subprocess.Popen[bytes]
    wrap: list[str]
    folder: Path

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace") + self.out

    @property
    def out(self) -> str:
        return (self.folder / "out").read_text(errors="replace")

    @property
    def pid(self) -> int:
        """Its first process, as the machine counts."""
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(found[0]) if found else 0

    def exec(self, *command: str, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a command within, as `docker exec` does."""
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--net", "--pid", "--root", "--wd"]
        return subprocess.run(
            [*enter, *self.wrap, *command], capture_output=True, text=True, timeout=timeout, check=False
        )

    def healthy(self) -> bool:
        """Whether the health check, of the service or else of the image, passes now."""
        health = self.image.health | self.service.get("healthcheck", {})
        kind, *test = health["test"]
        assert kind == "CMD", health
        if test[0] == "nc" and shutil.which("nc") is None:  # busybox's, in Kafka's image
            _, _, host, port = test
            test = ["bash", "-c", f"exec 3<>/dev/tcp/{host}/{port}"]
        return self.exec(*test, timeout=seconds(health.get("timeout"), 30.0) * 6).returncode == 0

    def stop(self) -> int:
        """The service's stop signal, and SIGKILL where the grace period is over; the exit status."""
        if self.process.poll() is None and (pid := self.pid):
            os.kill(pid, signal.Signals[self.service.get("stop_signal", "SIGTERM")])
            try:
                return self.process.wait(seconds(self.service.get("stop_grace_period"), 10.0) * 2)
            except subprocess.TimeoutExpired:
                os.kill(pid, signal.SIGKILL)
        return self.process.wait()


class Stack:
    """The services of the compose file on a network of their own; for the length of a `with` block."""

    def __init__(
        self,
        images: Mapping[str, Image],
        secrets: Path,
        variables: Mapping[str, str],
        extra: Mapping[str, str],
        lower: Path | None = None,
    ) -> None:
        """`images` by the names of the services' images up to the tag; `secrets` holds the files of the compose file's
        secrets; `variables` is what `.env` would hold, `extra` is added to the environment of our own program."""
        self.compose = load_compose(variables)
        self.containers: dict[str, Container] = {}
        self._images, self._secrets, self._extra = images, secrets, extra
        self._folder = Path(tempfile.mkdtemp(prefix="cw-stack-", dir="/tmp"))
        self._folder.chmod(0o755)
        self._network = f"cw{os.getpid()}"
        self._addresses = iter(range(10, 250))
        self._hosts: dict[str, str] = {}
        self._lower = lower
        self._guard: subprocess.Popen[str] | None = None

    def __enter__(self) -> Stack:
        network = self._network
        # What is left when this process is killed goes with it: its end closes the pipe.
        sweep = """
            while read -r pid; do pids+=" $pid"; done
            kill -9 $pids
            for each in $(ip netns list | grep -o "^$0[^ ]*"); do ip netns del $each; done
        """
        self._guard = subprocess.Popen(
            ["bash", "-c", sweep, network],
            stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True,
        )  # fmt: skip
        sh("ip", "netns", "add", network)
        sh("ip", "-n", network, "link", "add", "br0", "type", "bridge")
        sh("ip", "-n", network, "addr", "add", f"{SUBNET}.1/24", "dev", "br0")
        for device in ("br0", "lo"):
            sh("ip", "-n", network, "link", "set", device, "up")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._guard and self._guard.stdin
        for container in self.containers.values():
            if container.process.poll() is None:
                os.kill(container.pid or container.process.pid, signal.SIGKILL)
                container.process.wait()
        self._guard.stdin.close()
        self._guard.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def gateway(self) -> str:
        """An address that every container reaches; `on_gateway` runs servers there."""
        return f"{SUBNET}.1"

    def on_gateway(self, *command: str) -> subprocess.Popen[bytes]:
        """A process of this machine's on the containers' network."""
        started = subprocess.Popen(
            ["ip", "netns", "exec", self._network, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._watch(started.pid)
        return started

    def _watch(self, pid: int) -> None:
        assert self._guard and self._guard.stdin
        self._guard.stdin.write(f"{pid}\n")
        self._guard.stdin.flush()

    def volume(self, name: str) -> Path:
        """The folder of a named volume."""
        assert name in self.compose["volumes"], name
        path = self._folder / "volumes" / name
        if not path.exists():
            path.mkdir(parents=True)
        return path

    def up(self, *services: str, timeout: float = 300.0) -> None:
        """Start the services, and what they depend on, as soon as its conditions hold; return when all are healthy."""
        wanted = list(dict.fromkeys(name for service in services for name in (*self._needed(service), service)))
        numbers = {name: int(self.compose["services"][name].get("scale", 1)) for name in wanted}
        done: set[str] = {name for name in wanted if f"{name}-1" in self.containers}
        deadline = time.monotonic() + timeout
        while missing := [name for name in wanted if name not in done]:
            for name in missing:
                depends = self.compose["services"][name].get("depends_on", {})
                if f"{name}-1" not in self.containers:
                    if all(other in done for other in depends):
                        for number in range(1, numbers[name] + 1):
                            self.start(name, number)
                elif all(self._is_well(self.containers[f"{name}-{each}"]) for each in range(1, numbers[name] + 1)):
                    done.add(name)
            if time.monotonic() > deadline:
                logs = "\n".join(f"--- {name}\n{self.containers[f'{name}-1'].log[-3000:]}" for name in missing
                                 if f"{name}-1" in self.containers)  # fmt: skip
                raise TimeoutError(f"not up in {timeout:g} s: {', '.join(missing)}\n{logs}")
            time.sleep(1.0)  # the start interval of every health check

    def _needed(self, service: str) -> Iterator[str]:
        for other in self.compose["services"][service].get("depends_on", {}):
            yield from self._needed(other)
            yield other

    def _is_well(self, container: Container) -> bool:
        """Whether what depends on it may start, by the strictest condition that is asked of it."""
        name = container.name.rpartition("-")[0]
        asked = {each["depends_on"][name]["condition"] for each in self.compose["services"].values()
                 if name in each.get("depends_on", {})}  # fmt: skip
        ended = container.process.poll()
        if "service_completed_successfully" in asked:
            assert ended in (None, 0), f"{container.name} ended with {ended}:\n{container.log}"
            return ended == 0
        assert ended is None, f"{container.name} ended with {ended}:\n{container.log[-3000:]}"
        return bool(container.pid) and container.healthy()

    def start(self, name: str, number: int = 1, arguments: Sequence[str] | None = None) -> Container:
        """Start one container of a service; `arguments` in place of its command, as `docker compose run` takes them."""
        service = self.compose["services"][name]
        image = self._images[re.sub(r"[:@][^/]*$", "", service["image"])]
        own = "build" in service
        address = f"{SUBNET}.{next(self._addresses)}"
        # As the DNS of a container network: a service's name leads to its first container.
        self._hosts.setdefault(name, address)
        folder = self._folder / f"{name}-{number}"
        folder.mkdir(exist_ok=True)
        network = self._join(name, number, address)
        environment = dict(image.environment)
        environment |= {key: str(value) for key, value in _merged(service.get("environment", {})).items()}
        environment |= self._extra if own else {}
        plan = folder / "plan"
        plan.write_text("\n".join(self._plan(service, own, image)))
        capabilities = ["--bounding-set=-all", "--inh-caps=-all"] if service.get("cap_drop") == ["ALL"] else []
        assert "no-new-privileges:true" in service["security_opt"]
        wrap = [
            *("setpriv", f"--reuid={image.user[0]}", f"--regid={image.user[1]}", "--clear-groups", "--no-new-privs"),
            *(*capabilities, "env", "-i", *(f"{key}={value}" for key, value in environment.items())),
        ]
        command = [*service.get("entrypoint", image.entrypoint), *(arguments or service.get("command", image.command))]
        if command[:2] == ["tini", "--"] and shutil.which("tini") is None and not IMAGE_ROOT:
            command = command[2:]
        run = [*wrap, "sh", "-c", f'cd /tmp; set -e; {image.before}\nexec "$@"', "sh", *command]
        lower = str(self._lower) if own and self._lower else "/"
        scratch = folder / "scratch"
        scratch.mkdir(exist_ok=True)
        with (folder / "log").open("ab") as log, (folder / "out").open("ab") as out:
            process = subprocess.Popen(
                [*("ip", "netns", "exec", network, "unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c"),
                 *(_RUNTIME, "bash", str(scratch), lower, str(plan), "yes" if service.get("read_only") else "no", *run)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=log,
            )  # fmt: skip
        self.containers[f"{name}-{number}"] = started = Container(
            f"{name}-{number}", service, image, process, wrap, folder
        )
        deadline = time.monotonic() + 30
        while not (process.poll() is not None or started.pid):
            assert time.monotonic() < deadline, f"{name} did not start"
            time.sleep(0.01)
        if started.process.poll() is None:
            self._watch(started.pid)
        return started

    def _join(self, name: str, number: int, address: str) -> str:
        """A network namespace with one interface on the bridge."""
        network, link = f"{self._network}-{name}-{number}", f"v{address.rpartition('.')[2]}"
        sh("ip", "netns", "add", network)
        sh("ip", "-n", self._network, "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", network)
        sh("ip", "-n", self._network, "link", "set", link, "master", "br0", "up")
        sh("ip", "-n", network, "addr", "add", f"{address}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            sh("ip", "-n", network, "link", "set", device, "up")
        return network

    def _plan(self, service: Mapping[str, Any], own: bool, image: Image) -> Iterator[str]:
        """Shell lines that lay out the root; they know `root`."""
        names = "".join(f"{address} {name}\\n" for name, address in self._hosts.items())
        yield f"printf '127.0.0.1 localhost\\n{names}' > $root/etc/hosts; rm -f $root/etc/nsswitch.conf"
        for mount in service.get("tmpfs", ["/tmp:mode=1777"]):
            target, _, options = mount.partition(":")
            yield f"mount -t tmpfs -o {options} tmpfs $root{target}"
        yield "mkdir -p $root/run; mount -t tmpfs -o mode=755 tmpfs $root/run; mkdir $root/run/secrets"
        if own and not self._lower:
            yield from _installed_program()
        elif not own:
            yield from _visible(ROOT)
        for name in service.get("secrets", []):
            file = self._secrets / Path(self.compose["secrets"][name]["file"]).name
            yield f"cp -p {file} $root/run/secrets/{name}"
        for mount in service.get("volumes", []):
            source, target, *_ = mount.split(":")
            folder = self.volume(source)
            # A new volume takes the owner of what the image has in its place.
            os.chown(folder, *image.user)
            yield f"mkdir -p $root{target}; mount --bind {folder} $root{target}"
        if not service.get("volumes") and own:
            yield f"mkdir -p $root/data; mount -t tmpfs -o uid={image.user[0]},gid={image.user[1]} tmpfs $root/data"


def _merged(environment: Any) -> dict[str, Any]:
    return dict(environment)


def _installed_program() -> Iterator[str]:
    """The machine's own installation in place of the image's: every user may reach it, under the image's path."""
    environment = Path(sys.prefix)
    for path in (ROOT, environment, Path(sys.base_prefix)):
        yield from _visible(path)
    yield f"mkdir -p $root/opt; ln -s {environment} $root/opt/conflictwire"
    yield f"cp {ROOT}/deploy/healthcheck.py $root/usr/local/bin/healthcheck; chmod 755 $root/usr/local/bin/healthcheck"


def _visible(path: Path) -> Iterator[str]:
    """`path` may lie on another file system than `/`, below what is mounted anew, or in a folder that is root's alone."""
    if path.stat().st_dev != Path("/").stat().st_dev or path.parts[1] in ("tmp", "run"):
        yield f"mkdir -p $root{path}; mount --bind {path} $root{path}"
    for parent in (path, *path.parents):
        yield f"chmod o+x $root{parent} || true"
