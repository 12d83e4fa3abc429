"""How near two results must come, absolutely, and why.

The official implementation itself moves when the number of threads or the instruction set changes, because sums are
then taken in another order. Each limit against it is several times that movement, and far below the effect of a wrong
formula: the wrong GELU alone moves logits by 2e-3. Integers are always equal.
"""

PROJECTOR = 1e-5
"""Against golden a5 in float32, where the reference moves by 8e-7."""
VISION = 5e-5
"""Against golden a6 in float32, where the reference moves by 5e-6."""
ROTARY_TABLES = 1e-5
"""Against golden a7; the reference does not move, the room is for another library's cosine."""
ATTENTION = 2e-5
"""Against golden a7 in float32, where the reference moves by 2.5e-6."""
STAGE = 2e-5
"""Against golden c1 to c6 in float32, times the largest value of the tensor; the reference moves by 5e-6 of it."""

EXACT = 1e-10
"""Two orders of the same float64 sums."""
FLOAT32_SUMS = 3e-5
"""Two orders of the same float32 sums through a small decoder, whose logits of order three move by 6e-6."""
GRADIENT = 1e-8
"""The same for gradients of sums of squares through several layers, which reach some hundreds."""
FLOAT32_NORM = 1e-5
"""Float64 modules of other libraries whose norms compute in float32 whatever the input; such results move by 5e-6, and
by 1e-4 with a wrong epsilon."""
ROTATED = 1e-4
"""Float64 sums behind rotary tables for different positions; the tables are float32, so that an angle of some hundred
radians is known to 3e-5."""
BFLOAT16 = 5e-2
"""Results of order one in bfloat16, which has 8 significant bits."""

VISION_TOWER = 1e-4
"""Tower of golden a1 to a4 in float32, where the reference moves by 9.4e-6."""
EMBEDDINGS = 3e-5
"""Projector's output and embeddings of golden a1 to a4 in float32, where the reference moves by 3e-6."""
LOGITS = 2e-4
"""Logits and hidden states of golden a1 to a4 in float32, where the reference moves by 4.3e-5."""
CACHE = 1e-4
"""Cached values of golden a1 to a4 in float32, where the reference moves by 1.6e-5."""
ROUTING = 2e-5
"""Routing weights of golden a1 to a4 in float32, where the reference moves by 4e-6."""
LOSS = 2e-5
"""Loss of golden a1 to a4 in float32, where the reference moves by 1.4e-6."""
