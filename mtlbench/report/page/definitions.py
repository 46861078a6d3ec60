"""What the terms of the page mean: a question, and the answer."""

Definition = tuple[str, str]

ARP: Definition = (
    "What is ARP?",
    "For a metric with clean value c and attacked value a the relative drop is s (c - a) / |c|, with s = 1 where "
    "higher is better and -1 where lower is; positive means damage. The damage of a task is the mean over its "
    "metrics, ARP (average relative performance lost) the mean over the tasks, in percent. Errors have no upper "
    "limit, so it may exceed 100. Lower means a more robust model, or a weaker attack.",
)
CAPPED: Definition = (
    "What is capped ARP?",
    "ARP in which the relative drop of each metric counts for at most 100 %: of a metric that is better when higher "
    "that is all of it, an error counts until it has doubled. One error that grows without limit cannot decide it, "
    "and two attacks that both double an error are equal in it.",
)
TRANSFER: Definition = (
    "What is transferability?",
    "The ratio of task i is the mean over the other tasks j of (damage of j) / (damage of i), both under the attack "
    "single on task i: how much of an attack goes astray. It cannot rank attacked tasks, whose metrics differ in "
    "scale; the normalised ratio can: the mean of (damage of j under the attack on i) / (damage of j under the attack "
    "on j itself). Both are undefined where the denominator is below 1 %.",
)
RANK: Definition = (
    "What does the rank say?",
    "A model's rank is one more than the number of models on the same dataset that are told apart from it as more "
    "robust: by the 95 % interval of the paired difference of ARP where both saw the same images, else by intervals "
    "that do not overlap. Models that the images cannot tell apart share a rank. The attack is the strongest of those "
    "stored for this model (how many there were is given beside it), so a model that was attacked by few looks more "
    "robust than it is.",
)
SHARING: Definition = (
    "What is measured of sharing?",
    "A parameter serves a task if the task's prediction depends on it. shared path is the mean over the tasks of the "
    "weight tensors on a task's path that another task uses too, over all on its path; shared params the share of "
    "parameters that serve several tasks; unused the share that serves none; with TASK the Jaccard index of two "
    "tasks: weight tensors on both paths over those on either. A blind task's prediction depends on no image as "
    "far as gradients can tell, so no attack on it works.",
)
OF_PIVOTS = {"arp": ARP, "arp_capped": CAPPED, "transferability": TRANSFER}
