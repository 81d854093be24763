"""How much of anything is read before a SavedModel is called hostile: one place for all bounds.

Law: every collection that is kept in memory has a bound here. Real models stay far below: the largest graphs seen
have some tens of thousands of nodes.
"""

MAX_PB_BYTES = 2 << 30
"""Protocol Buffers' own limit for one message."""

MAX_META_GRAPHS = 16
MAX_NODES = 1_000_000
MAX_FUNCTIONS = 50_000
MAX_OBJECTS = 500_000
MAX_REFERENCES = 2_000_000
MAX_CALLS = 2_000_000
"""Functions named by the attributes of all nodes of all functions."""

MAX_INPUTS = 4_000_000
"""Inputs and calls of all nodes of the main graph."""

MAX_ENTRIES = 10_000
"""Signatures, collections, assets or tags of one meta graph; inputs or outputs of one signature."""

MAX_RUN_STEPS = 50_000_000
"""Roots (signatures, initializers, …) times nodes, functions and kinds of ops in each function: what looking at
everything each one runs may cost."""

MAX_TENSORS = 500_000
MAX_SHARDS = 10_000

MAX_FIELDS_PER_MESSAGE = 100_000
"""Entries of one node's inputs, one object's children or one signature's arguments."""

MAX_STRUCTURE_DEPTH = 48
"""Levels of a nested argument; TensorFlow's own parser stops at 100 messages, two for each level."""

MAX_RANK = 254
"""``TensorShape::MaxDimensions``."""

MAX_CALL_DEPTH = 200
MAX_EXPANDED_NODES = 20_000_000
"""Nodes after every function call is inlined."""

MAX_CONSTANT_BYTES = 256 << 20
"""What one constant may grow to when it is written down as a single repeated value."""

MAX_CONSTANTS_BYTES = 2 << 30
"""What all of them together may grow to."""

TEXT_BYTES = 24
"""What TensorFlow allocates for one text of a tensor, before the text itself (``TF_TString``)."""

MAX_TRACE_STEPS = 200_000
"""Nodes that are looked at to find out where the file names of all lookup tables come from."""

MAX_INDEX_BYTES = 256 << 20
MAX_BLOCK_BYTES = 64 << 20
"""Bytes of a checkpoint index, also of all its blocks when unpacked, and of one of them."""

MAX_KEY_BYTES = 16 << 10
MAX_KEYS_BYTES = 128 << 20
"""Bytes of one key of a checkpoint index, and of all of them: a key may repeat the one before with a few bytes."""

MAX_DIMENSIONS = 1_000_000
"""Of all tensors of a checkpoint together."""

MAX_FINDINGS_PER_RULE = 20
MAX_TEXT_CHARS = 200
"""How much of a name found in a model is repeated in a message."""

GRAPH_VERSION = 2474
"""``TF_GRAPH_DEF_VERSION`` of TensorFlow 2.21: graphs that ask for a newer consumer do not load."""
