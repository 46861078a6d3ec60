"""Adversarial attacks in three parts: what to climb (`objectives`), how to step (`steps`), where it may go (`ball`).

An attack is ``step(losses, objective, x, eps, random)``: `losses` maps images to per-task, per-image losses, the
objective turns them into one number per image and its gradient, the step rule moves the images. Everything is per
image: the composition of a batch affects only the rounding of its kernels. Images are RGB in [0, 1]; eps is in the
same unit, one per image.
"""
