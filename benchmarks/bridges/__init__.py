"""What score models and bridges cost: training steps and samples beside loops by hand, and what precision is worth.

    step         a training step of the score model: two perceptrons and a U-Net, of the sizes that the recipes have
    precision    a step of U-Nets with float32 and bfloat16, as they come and compiled, each against float32 as it comes
    sample       samples by the score model and by the bridge, in the same calls of the net and the same blocks of rows

`python -m benchmarks.bridges` runs it. Data are random numbers in the shapes of the recipes' data, and loading them is
on no side. The loops by hand are those of a careful user: fused Adam, an average by one operation, no logs.
"""
