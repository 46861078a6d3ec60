"""The main flow of an experiment: build from the configuration, load or train the model, compute the missing cells."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import Objective
from mtlbench.attacks.steps import Step
from mtlbench.config import Config
from mtlbench.config.attack import build_attacks, build_objective_and_step, epsilon_list, starting_options
from mtlbench.config.dataset import known_tasks, open_dataset, size_of, space_of, starts_of, with_own_metrics
from mtlbench.data import left_out
from mtlbench.data.base import MultiTaskDataset
from mtlbench.data.batch import Batch
from mtlbench.data.loader import in_order
from mtlbench.engine.clean_values import CleanValues
from mtlbench.engine.evaluate import cpu_block
from mtlbench.engine.plan import Plan
from mtlbench.engine.precision import FP32, check, computing_in
from mtlbench.errors import UsageError
from mtlbench.experiment import provenance
from mtlbench.experiment.cells import clean_plan, model_identity, plans
from mtlbench.experiment.compute import Job, complete
from mtlbench.experiment.converged import check_of
from mtlbench.experiment.references import reference_identity, reference_images
from mtlbench.experiment.session import Session
from mtlbench.experiment.setup import Setup, prepare
from mtlbench.experiment.source import attacks_of
from mtlbench.experiment.trained import Trained, load_or_train
from mtlbench.models.alignment import alignment
from mtlbench.process.watchdog import ProgressBar
from mtlbench.scores import tables
from mtlbench.scores.frame import metrics_frame
from mtlbench.storage.checkpoints import CLEAN_METRICS, Checkpoint
from mtlbench.storage.files import write_atomically


def run_attack(config: Config, progress_bar: ProgressBar, session: Session) -> list[Plan]:
    """Compute the missing cells of one configuration; returns all its cells and adds their keys to `session`.

    With ``attack.converged=check`` those of the check follow, in `session` only.

    Raises:
        BusyError: another process holds the claim on some cells, the training or the rooms; everything else is done.
        FailedCellsError: some cells failed.
    """
    epsilons, engine = epsilon_list(config), build_objective_and_step(config)
    _check_space(config, engine)
    check(config["precision"])
    tasks = known_tasks(config)
    if tasks is not None:
        build_attacks(config, engine, tasks)  # checks options before any rooms are generated
    setup = prepare(config, progress_bar, session)
    attacks = attacks_of(setup, config)
    trained = load_or_train(setup)
    if not trained.has_clean_metrics:
        record_clean(setup, trained)
    identity = model_identity(setup, trained, setup.test, config["precision"])
    wanted = plans(config, identity, attacks, epsilons, reference_identity(setup))
    converged = check_of(setup, trained, wanted)
    session.wanted.update(plan.key for plan in (*wanted, *(converged[1] if converged else ())))
    with computing_in(config["precision"], trained.model):
        _compute(setup, trained, setup.test, wanted)
        if converged:
            _compute(setup, trained, *converged)
    return wanted


def run_training(config: Config, progress_bar: ProgressBar, session: Session) -> tuple[Checkpoint, str]:
    """Train a model, or finish its training, and store its clean metrics; returns the model and its clean key."""
    setup = prepare(config, progress_bar, session)
    trained = load_or_train(setup, may_train=True)
    assert trained.checkpoint is not None
    return trained.checkpoint, record_clean(setup, trained)


def record_clean(setup: Setup, trained: Trained) -> str:
    """Store the clean cell of the whole test split and write its metrics beside the weights; returns the cell's key.

    These are the dataset's own metrics, in fp32, without a defence, independent of the attack's options: other runs
    use these weights too.
    """
    assert trained.checkpoint is not None
    setup = replace(setup, config=with_own_metrics(setup.config), defence=None)
    whole = open_dataset(setup.config, "test", setup.root)
    plan = clean_plan(model_identity(setup, trained, whole))
    with computing_in(FP32, trained.model):
        _compute(setup, trained, whole, [plan])
    metrics = tables(metrics_frame([setup.outputs.store.load(plan.key)]))["metrics"]
    columns = ["scores", "task", "metric", "unit", "higher_is_better", "clean", "n_images"]
    write_atomically(trained.checkpoint.folder / CLEAN_METRICS, metrics[columns].to_csv(index=False))
    return plan.key


def _check_space(config: Config, engine: tuple[Objective, Step] | None) -> None:
    """Refuse options that need images on a dataset without."""
    space, dataset = space_of(config), config["dataset"]["name"]
    if config["save_images"] and space.form != "image":
        raise UsageError(f"save_images={config['save_images']}: dataset={dataset} has no images")
    if engine is not None:
        Attack(*engine, (), **starting_options(config["attack"])).takes(space, starts_of(config))


def _compute(setup: Setup, trained: Trained, dataset: MultiTaskDataset, wanted: Sequence[Plan]) -> None:
    """Compute and store the missing ones of the `wanted` cells."""
    config = setup.config
    origin = provenance.record(setup.device) | {
        "batch_size": config["batch_size"],
        "recipe": trained.recipe,
        "config": _reproducible_config(config),
        **left_out.record(dataset),
    }
    if trained.cost:
        origin["trained"] = trained.cost
    known = {
        "limits": dict(dataset.limits()),
        "radii": dict(dataset.radii()),
        "alignment": _alignment(trained, dataset),
    }
    origin |= {name: value for name, value in known.items() if value}
    if trained.probe:
        origin["probe"] = trained.probe.described()
    complete(
        Job(
            store=setup.outputs.store,
            model=trained.model,
            dataset=dataset,
            plans=wanted,
            seed=trained.seed,
            device=setup.device,
            loader=loader_of(setup, dataset),
            origin=origin,
            progress_bar=setup.progress_bar,
            title=f"{'attack' if wanted[-1].attack else 'clean metrics of'} {trained.title}",
            session=setup.session,
            clean_values=clean_values(setup, trained),
            defence=setup.defence,
        )
    )


def _alignment(trained: Trained, dataset: MultiTaskDataset) -> dict[str, float] | None:
    """What the neurons of the model have aligned with; None where it has none, or the data no centres."""
    centres = dataset.centres()
    if centres is None:
        return None
    return alignment(trained.model, centres.points, centres.labels, [task.name for task in dataset.tasks])


def clean_values(setup: Setup, trained: Trained) -> CleanValues:
    """Of the metrics that an attack climbs, on the images that ``attack.clean_values`` names."""
    return CleanValues(trained.model, lambda: loader_of(setup, reference_images(setup)), setup.device, trained.seed)


def loader_of(setup: Setup, dataset: MultiTaskDataset) -> Iterable[Batch]:
    """Batches of a split in order, of the size for this device."""
    config = setup.config
    block = dataset.space.block or cpu_block(size_of(config))
    at_once = block if setup.device.type == "cpu" else config["batch_size"]
    return in_order(dataset, at_once, config["workers"])


def _reproducible_config(config: Config) -> dict[str, Any]:
    """The options that reproduce the same cells."""
    without = ("run_dir", "force", "fail_fast", "wait", "save_images")
    return {key: value for key, value in config.items() if key not in without}
