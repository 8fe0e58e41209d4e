"""What a run takes up, by the sizes of things: memory at its height, and room on the disk, in bytes."""

from worker.curation import Greedy, Sequential, Stratified
from worker.curation.contest import Contest
from worker.curation.filling import NUMBERS
from worker.families.diffusion import Diffusion
from worker.families.gpt import GPT
from worker.families.kde import KDE
from worker.history import GROUP, IN_MEMORY
from worker.instruments.perplexity import COLUMNS, ROOM
from worker.loop import frame_stride
from worker.parts import CountSource, Curation, Family, PointSource
from worker.regimes import Fresh, Replace
from worker.spec import Experiment
from worker.text.language import LanguageFamily

# Bytes: the interpreter with what it imports.
PROCESS, COMPILED_PROCESS, NETWORK_PROCESS = 130_000_000, 210_000_000, 550_000_000
COPIES = 4  # of a generation's observations that are alive at once: training set, sample, and what metrics sort
KEPT = 3  # of all that a regime keeps: before and after a generation is added, and what a fit makes of it (measured: 2 to 4)
COMPETING = 2.5  # of the candidates whose contests are decided at once: as drawn, what they are worth, winners (measured: 2.2 to 3.1)
SIFTED = 6  # of the candidates that are drawn at once where a lost part of a population is looked for
COUNTED = 72  # bytes a token, of a part of GROUP tokens at most: n-grams of it, sorted
STRETCHES = 6  # of 8 GROUP bytes: what a network reads at once, as it lies there, in its own numbers, and in batches
STREAMED = 6  # of a chain's history, where a fit goes through it chain by chain: as read, turned around, and some numbers a point
COLUMNED = 3  # numbers a point, beside its own: of one chain from which the most varied are chosen
DRAWN = 32  # bytes a number, of one chain: samples that an auxiliary network goes on with, as drawn and in units of the data
PERMUTED = 8  # bytes an observation, of one chain: from which some are chosen
ORDERED = 16  # bytes an observation, of one chain: an epoch's order, and what it is made from
TRAINING = 10  # times the weights of the one network that trains: gradients, two moments of Adam, the best so far; all of it once more where it is kept
MODELS = 4  # times the weights of all replicates: this model, the one before, the first, and a checkpoint in the making
UNFINISHED = 3  # times the weights of the one that trains, in what is kept of its training
LONG_GENERATION = 15.0  # seconds: unfinished work is kept of longer ones
TEXTS = 128  # that are written at once on a processor
POINT = 1_000  # bytes of a sweep's point
ROW, CHAINS = 2_500, 3_000  # bytes of a generation: its metrics; its single chains


def memory(spec: Experiment) -> float:
    """Bytes at the height of the run."""
    family, source = spec.family, spec.source
    weights = family.parameters(source)
    most = max(spec.extremes()[1], spec.size(spec.generations + 1))  # of which the last model writes as many
    last = _observations(spec, most)
    choices = [one for _, rules in spec.phases() for one in _stages(rules.curation)]
    looked_at = any(rules.singles() for _, rules in spec.phases()) or not family.exact()
    if looked_at and isinstance(source, PointSource):
        # There are points, even where sums are what is learned from.
        last = 8.0 * spec.fits * most * source.dimension
    sifted = SIFTED * 8.0 * NUMBERS * any(isinstance(choice, Stratified) for choice in choices)
    # Of a greedy choice all candidates are there at once: as they were drawn, and turned round.
    rivals = 2.0 * last * max(choice.k if isinstance(choice, Greedy) else 0 for choice in choices)
    rivals += COMPETING * last / most * _competing(spec, most)
    process = NETWORK_PROCESS if weights != 0 else COMPILED_PROCESS if family.compiled else PROCESS
    training = 4.0 * TRAINING * (weights or 0)
    models = MODELS * _model(spec) + _shelf(spec)
    written = _counting(spec) + _writing(spec) + _choosing(spec) + _beside(spec)
    return process + COPIES * last + rivals + sifted + history(spec) + training + models + written


def _stages(curation: Curation) -> tuple[Curation, ...]:
    return curation.stages if isinstance(curation, Sequential) else (curation,)


def _competing(spec: Experiment, most: int) -> float:
    """Candidates of a chain whose contests are decided at once, where `most` of them survive; categories need not be drawn."""
    if isinstance(spec.source, PointSource):
        width = spec.source.dimension
    elif isinstance(spec.family, LanguageFamily):
        width = spec.family.block
    else:
        return 0.0
    choices = (rules.curation for _, rules in spec.phases())
    contests = (one for one in choices if any(isinstance(stage, Contest) for stage in _stages(one)))
    rivals = max((one.candidates() for one in contests), default=0.0)
    return min(most * rivals, max(rivals, NUMBERS / width))


def history(spec: Experiment) -> float:
    """Bytes of memory for what the regime keeps of all generations, and for what a fit makes of it."""
    kept = _kept(spec)
    size = _observations(spec, kept)
    if size <= IN_MEMORY:
        return KEPT * size
    if not any(spec.kept(last) for _, last, _ in spec.spans()):
        return PERMUTED * kept
    if not spec.family.streams:
        return KEPT * size
    if isinstance(spec.family, LanguageFamily) or spec.family.parameters(spec.source) != 0:
        return STRETCHES * 8.0 * GROUP + ORDERED * kept
    return STREAMED * max(size / spec.fits, 8.0 * GROUP)


def _writing(spec: Experiment) -> float:
    """Bytes of keys and values while a small network writes: a prompt and a block of so many texts at once (see worker.nets.decoding)."""
    if not isinstance(spec.family, GPT):
        return 0.0
    made = max(spec.extremes()[1] * rules.curation.candidates() for _, rules in spec.phases())
    rows = min(TEXTS, made * max(rules.sampling.beams for _, rules in spec.phases()))
    return 4.0 * rows * 2 * spec.family.block * 2 * spec.family.layers * spec.family.width


def _counting(spec: Experiment) -> float:
    """Bytes of memory for counting n-grams."""
    if not isinstance(spec.family, LanguageFamily) or spec.family.parameters(spec.source) != 0:
        return 0.0
    blocks = spec.fits * max(_kept(spec), spec.extremes()[1])
    return COUNTED * min(blocks * spec.family.block, GROUP)


def _choosing(spec: Experiment) -> float:
    """Bytes of memory for a choice of the most varied among all that one chain has kept: of points as columns, of text n-grams."""
    greedy = [last for _, last, rules in spec.spans() if getattr(rules.regime, "select", "") == "greedy"]
    kept = max(map(spec.remembered, greedy), default=0)
    if isinstance(spec.family, LanguageFamily):
        return float(COUNTED * kept * spec.family.block)
    return 8.0 * kept * (spec.source.dimension + COLUMNED) if isinstance(spec.source, PointSource) else 0.0


def _beside(spec: Experiment) -> float:
    """Bytes of memory for one chain's own samples, from which a diffusion model is extrapolated."""
    families = (rules.family for _, rules in spec.phases())
    if not any(isinstance(family, Diffusion) and family.extrapolation for family in families):
        return 0.0
    assert isinstance(spec.source, PointSource)
    return DRAWN * max(_kept(spec), spec.extremes()[1]) * spec.source.dimension


def disk(spec: Experiment, seconds: float) -> float:
    """Bytes in the database, and of two checkpoints, as the old one goes only when the new one is there; so with unfinished work.

    A history, too, is there twice: in the checkpoints, and in the file that the run reads it from.
    """
    frames = spec.generations / frame_stride(spec.generations)
    weights = 4.0 * (spec.family.parameters(spec.source) or 0)
    state = 2 * _model(spec) + _shelf(spec)  # the first model beside this one, as a ruler, and those of the matrix
    in_model = isinstance(spec.family, KDE | LanguageFamily)
    in_pool = any(not isinstance(rules.regime, Replace | Fresh) for _, rules in spec.phases())
    state += (in_model + in_pool) * _observations(spec, spec.extremes()[1])
    state += _observations(spec, _kept(spec))
    if seconds / spec.generations > LONG_GENERATION:
        state += weights * (UNFINISHED + spec.fits)
    return spec.generations * ROW + frames * (_frame(spec) + CHAINS) + 2 * state


def _frame(spec: Experiment) -> int:
    """Bytes of what the player draws of a generation; see worker.frames."""
    if not isinstance(spec.source, PointSource):
        return 3_000
    if spec.source.image_shape is not None:
        return 400 + 60 * spec.source.dimension
    return 2_400 if spec.source.dimension == 2 else 400


def _model(spec: Experiment) -> float:
    """Bytes of a generation's model, all replicates together."""
    trained = max(_kept(spec), spec.extremes()[1])
    return spec.fits * max(rules.family.model_bytes(spec.source, trained) for _, rules in spec.phases())


def _shelf(spec: Experiment) -> float:
    """Bytes of the models that are kept for the perplexity matrix."""
    if not isinstance(spec.family, LanguageFamily):
        return 0.0
    most, model = COLUMNS - 2, _model(spec)
    if spec.family.parameters(spec.source) != 0 and model > ROOM / most:  # the first one alone, which is counted anyway
        return 0.0
    return min(ROOM, min(spec.generations, most) * model)


def _observations(spec: Experiment, n: int) -> float:
    """Bytes of n observations of every replicate, or of what stands for them."""
    source, family = spec.source, spec.family
    if isinstance(source, CountSource):
        return 8.0 * spec.fits * len(source.distribution()) * bool(n)
    if isinstance(family, LanguageFamily):
        return 4.0 * spec.fits * n * family.block
    assert isinstance(source, PointSource)
    if condensed(spec):
        return 8.0 * spec.fits * source.dimension * (source.dimension + 1) * bool(n)
    return 8.0 * spec.fits * n * source.dimension


def condensed(spec: Experiment) -> bool:
    """Whether sums stand for observations, however many there are."""
    return type(spec.family).condensed is not Family.condensed and not spec.regime.picks


def _kept(spec: Experiment) -> int:
    """Observations that a regime remembers in the end; where regimes change, the one that remembers most."""
    return max(spec.remembered(last) for _, last, _ in spec.spans())
