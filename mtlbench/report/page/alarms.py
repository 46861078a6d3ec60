"""What an alarm means, and what to do about it: beside the alarms of `scores.alarms`, in their words."""

from collections.abc import Iterable

MEANINGS: dict[str, str] = {
    "did not rise": "The attack hardly climbed what it attacks. A low ARP then says that the attack failed, not that "
    "the model is robust: look for masked gradients, a quantised input, or too small a step.",
    "left the ball or box": "The attacked images differ from the clean ones by more than eps, or leave the range of "
    "images: their damage may not be compared with that of attacks that stay inside.",
    "losses are not finite": "A loss was infinite or not a number. Such images never count as robust; the model's "
    "output or its normalisation is the place to look.",
    "1/L was cut off": "A task's loss is so small that dividing by it would explode; it was clamped, so attacks that "
    "balance tasks weigh this one less than they should.",
    "input gradient is zero": "The loss of a task does not depend on much of the image: gradients may be masked, and "
    "attacks that follow them are weaker than an attacker who avoids this.",
    "input gradient is not finite": "Gradients hold infinities or values that are not numbers; steps are wrong there.",
    "cross-entropy has no gradient": "The logits are so far apart that the loss is flat in 32-bit numbers. Attack "
    "with attack.logits=normalised, or give the task the loss class_margin or label_margin.",
    "twice the steps do": "The attack had not converged: with more steps it does more damage, so the number is a "
    "lower bound of what an attacker can do.",
    "is beyond the limit": "More inputs survived than any classifier can keep right at this radius: the attack did "
    "not find what is there. Gradients of a network that has learned single clusters do not point to the others: "
    "start from them as well, attack.starts=[image,nearest_other], or go straight to them, attack=nearest_other.",
    "each step saw one draw": "The model draws random numbers, and the attack saw one draw of them at each step, "
    "which the next draw contradicts. Attack with attack.eot=10, which follows the mean of ten.",
    "not in evaluation mode": "Dropout or batch statistics were active: the model was another one for every image.",
    "ARP falls from": "Damage fell although the attacker was allowed more. An attacker of the larger eps can do what "
    "one of the smaller eps does, so the attack at the larger eps is not as strong as it could be.",
    "an attack without gradients does": "Random search, or images made on another model, hurt this model more than "
    "the attack that follows its gradients: these are hidden, and the model is less robust than the attack says. Wrap "
    "what rounds or thresholds its input in mtlbench.straight_through.",
    "random noise is as strong": "Noise of the same size does as much damage, so the attack adds nothing: it is "
    "broken or its steps are too few.",
}
"""Words of an alarm's text -> what it means."""


def explained(texts: Iterable[str]) -> list[tuple[int, str, str]]:
    """For each kind of alarm among the texts: how many there are, its words, what it means."""
    found = list(texts)
    counts = [(sum(words in text for text in found), words, meaning) for words, meaning in MEANINGS.items()]
    return [entry for entry in counts if entry[0]]
