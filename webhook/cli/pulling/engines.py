"""Container engines, and how each is told to pull, tag and remove an image.

The words are those of the programs' own references: `docker`_, `podman`_, `nerdctl`_,
`crictl`_ and `ctr`_. Images are always named in full, as ``docker.io/library/nginx:1``:
every engine understands that, podman then does not ask which registry is meant, and for
containerd it is the only name there is.

.. _docker: https://docs.docker.com/reference/cli/docker/image/
.. _podman: https://docs.podman.io/en/latest/Commands.html
.. _nerdctl: https://github.com/containerd/nerdctl/blob/main/docs/command-reference.md
.. _crictl: https://github.com/kubernetes-sigs/cri-tools/blob/master/docs/crictl.md
.. _ctr: https://github.com/containerd/containerd/blob/main/docs/getting-started.md
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AUTO", "ENGINES", "Engine", "MissingEngineError", "find_engine"]

AUTO: Final = "auto"

Words = tuple[str, ...]


class MissingEngineError(Exception):
    """A program that an engine needs is not there; the message says what to install."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A container engine: the words of its commands, to which the names of images are added.

    Attributes:
        name: What ``--engine`` calls it.
        programs: The programs that have to be on the path.
        advice: What to install, as the end of a sentence.
        pulling: Pulls an image.
        tagging: Gives an image another name.
        removing: Takes a name off an image.
        finding: Ends with 0 if there is an image of this name, and else with another
            code; empty if *listing* says it.
        listing: Writes the names of all images, one a line.
        takes_platform: Whether it can pull for another platform than its own.
        takes_namespace: Whether it keeps images apart by namespaces of containerd.
        names_digests: Whether a name with a digest is a name as any other: it can be
            given to an image, and a pull by tag brings one beside the tag.
    """

    name: str
    programs: Words
    advice: str
    pulling: Words
    tagging: Words
    removing: Words
    finding: Words = ()
    listing: Words = ()
    takes_platform: bool = True
    takes_namespace: bool = False
    names_digests: bool = False

    def pull(self, image: str, platform: str | None = None) -> Words:
        """Return the command that pulls an image, for a *platform* as ``linux/arm64``."""
        options = () if platform is None else (f"--platform={platform}",)
        return (*self.pulling, *options, image)

    def tag(self, image: str, name: str) -> Words:
        """Return the command that gives *image* the *name* too, even if another has it."""
        return (*self.tagging, image, name)

    def remove(self, name: str) -> Words:
        """Return the command that takes a name off its image."""
        return (*self.removing, name)

    def find(self, image: str) -> Words:
        """Return the command that tells whether there is an image of this name."""
        return (*self.finding, image) if self.finding else self.listing

    def in_namespace(self, namespace: str) -> Engine:
        """Return this engine for the images of one namespace of containerd."""

        def within(words: Words) -> Words:
            return (words[0], f"--namespace={namespace}", *words[1:])

        return replace(
            self,
            pulling=within(self.pulling),
            tagging=within(self.tagging),
            removing=within(self.removing),
            listing=within(self.listing),
        )


CTR: Final = ("ctr", "--namespace=k8s.io", "images")

# In the order in which they are looked for.
ENGINES: Final = MappingProxyType(
    {
        engine.name: engine
        for engine in (
            Engine(
                name="docker",
                programs=("docker",),
                advice="install Docker Engine, on Debian the package docker.io",
                pulling=("docker", "pull"),
                tagging=("docker", "tag"),
                removing=("docker", "rmi"),
                finding=("docker", "image", "inspect", "--format={{.Id}}"),
            ),
            Engine(
                name="nerdctl",
                programs=("nerdctl",),
                advice="install nerdctl, of the containerd project",
                pulling=("nerdctl", "pull"),
                tagging=("nerdctl", "tag"),
                removing=("nerdctl", "rmi"),
                # `nerdctl image inspect` ends with 0 for an image that is not there.
                listing=("nerdctl", "images", "--format={{.Name}}"),
                takes_namespace=True,
            ),
            Engine(
                name="podman",
                programs=("podman",),
                advice="install podman, on Debian the package podman",
                pulling=("podman", "pull"),
                tagging=("podman", "tag"),
                removing=("podman", "rmi"),
                # To `podman image exists` all names with one digest are the same.
                listing=(
                    "podman",
                    "images",
                    "--format={{range .Names}}{{println .}}{{end}}",
                ),
            ),
            Engine(
                name="crictl",
                programs=("crictl", "ctr"),
                advice=(
                    "install crictl, of cri-tools, and ctr, which comes with containerd; "
                    "on a node with CRI-O take --engine podman, which has the same images"
                ),
                # crictl can pull as the kubelet does, and has no word for naming.
                pulling=("crictl", "pull"),
                tagging=(*CTR, "tag", "--force"),
                removing=(*CTR, "rm"),
                listing=(*CTR, "ls", "--quiet"),
                takes_platform=False,
                names_digests=True,
            ),
        )
    }
)


def find_engine(name: str, which: Callable[[str], str | None]) -> Engine:
    """Return the engine that ``--engine`` asks for.

    Args:
        name: A key of `ENGINES`, or `AUTO` for the first that is there.
        which: Returns where a program is, and None if it is not there.

    Raises:
        MissingEngineError: A program that it needs is not there.
    """
    if name == AUTO:
        for engine in ENGINES.values():
            if all(map(which, engine.programs)):
                return engine
        raise MissingEngineError(
            "there is no container engine on the PATH: install docker, podman or nerdctl, "
            "or crictl and ctr"
        )
    engine = ENGINES[name]
    missing = [program for program in engine.programs if not which(program)]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        problem = f"{' and '.join(missing)} {verb} not on the PATH: {engine.advice}"
        raise MissingEngineError(problem)
    return engine
