"""transformers: a segmentation model for tasks per pixel, an image classifier for tasks per image."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mtlbench.errors import CheckpointError, UsageError
from mtlbench.extras import library
from mtlbench.models.adapted import Adapted
from mtlbench.models.builders.joined import channels, made, per_image, slices
from mtlbench.options import near
from mtlbench.tasks import Task

PROCESSOR = "preprocessor_config.json"


def build(
    tasks: Sequence[Task],
    model_type: str = "segformer",
    folder: str | None = None,
    inputs: object = None,
    **options: Any,
) -> Adapted:
    """One network for all tasks: of a configuration with random weights, or all of a folder of local files.

    Args:
        tasks: all per pixel, or all per image.
        model_type: segformer, upernet, ...; vit, convnext, ... for tasks per image. Not used with `folder`.
        folder: what ``save_pretrained`` wrote: config.json and safetensors, with as many labels as the tasks have
            channels together. Code in it is never run, other formats of weights are not read.
        inputs: as the weights want the images, see `Adapted`; None takes mean and std of the folder's
            preprocessor_config.json, or those of ImageNet.
        options: of the configuration, for example ``depths=[1, 1, 1, 1]``; not with `folder`.

    Raises:
        MachineError: the library is not installed.
        UsageError: it does not know the type or an option, or the folder is of other tasks.
        CheckpointError: the folder does not hold all weights.
    """
    library("transformers", "transformers", "model=transformers")
    asked = f"model=transformers {f'model_type={model_type}' if folder is None else f'folder={folder}'}"
    whole = per_image(tasks, asked)
    with offline():
        if folder is None:
            network = _new(asked, model_type, whole, channels(tasks), options)
        else:
            if options:
                raise UsageError(f"{asked}: its config.json says {', '.join(options)}; leave them out")
            network = _saved(asked, Path(folder).expanduser(), whole, channels(tasks))
    if inputs is None:
        inputs = _inputs(Path(folder).expanduser() if folder else None)

    def outputs(found: Any) -> Mapping[str, Tensor]:
        return {task: found.logits[:, where] for task, where in slices(tasks).items()}

    return Adapted(network, tasks, inputs, outputs, name=f"transformers-{network.config.model_type}")


def known_as(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as a result's key knows them: of `folder` what the network is made of, not where it is."""
    found = dict(options)
    if found.get("folder"):
        folder = Path(str(found["folder"])).expanduser()
        files = [folder / name for name in ("config.json", PROCESSOR) if (folder / name).is_file()]
        found["folder"] = hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()
        found.pop("model_type", None)  # config.json says it
    return found


@contextmanager
def offline() -> Iterator[None]:
    """Without the network, whatever a configuration asks for."""
    constants: Any = library("huggingface_hub.constants", "transformers", "model=transformers")
    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _new(asked: str, model_type: str, whole: bool, labels: int, options: Mapping[str, Any]) -> Any:
    transformers = library("transformers", "transformers", "model=transformers")
    plain = made(asked, transformers.AutoConfig.for_model, model_type)
    for name in options:  # it keeps those that it does not know as attributes that nobody reads
        if not hasattr(plain, name):
            raise UsageError(f"{asked}: no option {name}{near(name, list(vars(plain)))}")
    config = made(asked, transformers.AutoConfig.for_model, model_type, num_labels=labels, **options)
    return made(asked, _kind(whole).from_config, config, trust_remote_code=False)


def _saved(asked: str, folder: Path, whole: bool, labels: int) -> nn.Module:
    if not (folder / "config.json").is_file():
        raise UsageError(f"{asked}: expected a folder with config.json and model.safetensors, which it is not")
    network: Any
    network, info = made(
        asked,
        _kind(whole).from_pretrained,
        str(folder),
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        output_loading_info=True,
    )
    if network.config.num_labels != labels:
        raise UsageError(f"{asked}: it has {network.config.num_labels} labels, the tasks have {labels} channels")
    absent = sorted(info["missing_keys"])
    if absent:
        raise CheckpointError(f"{folder}: no weights for {len(absent)} names (first: {absent[0]}); expected all")
    found: nn.Module = network
    return found


def _kind(whole: bool) -> Any:
    transformers = library("transformers", "transformers", "model=transformers")
    return transformers.AutoModelForImageClassification if whole else transformers.AutoModelForSemanticSegmentation


def _inputs(folder: Path | None) -> object:
    """Mean and std of the folder's preprocessor; those of ImageNet where it does not say."""
    if folder is None or not (folder / PROCESSOR).is_file():
        return "imagenet"
    try:
        about = json.loads((folder / PROCESSOR).read_text())
    except ValueError as error:
        raise UsageError(f"{folder / PROCESSOR}: not JSON ({error})") from error
    if not isinstance(about, dict) or not about.get("do_normalize", True):
        return "rgb01"
    return about.get("image_mean"), about.get("image_std")
