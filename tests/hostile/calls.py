"""Kinds that do it when they are called: ops that reach beyond the model's own tensors."""

from tests.hostile.corpus import Case, accepted, refused
from tests.support.savedmodel_writer import call_attr, node, text_attr, text_const


@accepted
def _00_benign(case: Case) -> None:
    """Nothing: the control."""


@refused("ops.denied", "ReadFile", "serving_default → f")
def call_readfile(case: Case) -> None:
    """A file of the machine is an output."""
    case.model.body += [text_const("path", str(case.canary)), node("y", "ReadFile", ["path:output:0"])]


@refused("ops.denied", "ReadFile", "serving_default → f")
def call_readfile_input(case: Case) -> None:
    """Whoever calls it names the file."""
    case.model.body.append(node("y", "ReadFile", ["x"]))


@refused("ops.denied", "WriteFile", "serving_default → f")
def call_writefile(case: Case) -> None:
    """A file is written."""
    case.model.body += [text_const("path", f"{case.proof}/written"), node("w", "WriteFile", ["path", "path"])]


@refused("ops.file-attribute", "PrintV2", "output_stream", "function f")
def call_print_file(case: Case) -> None:
    """Printing appends to any file."""
    stream = text_attr(f"file://{case.proof}/printed")
    case.model.body += [text_const("text", "x"), node("p", "PrintV2", ["text"], output_stream=stream)]


@refused("ops.denied", "MatchingFiles", "serving_default → f")
def call_matchingfiles(case: Case) -> None:
    """Folders are listed."""
    case.model.body += [text_const("path", f"{case.canary.parent}/*"), node("m", "MatchingFiles", ["path"])]


@refused("ops.denied", "TextLineDataset", "serving_default → f")
def call_textline_dataset(case: Case) -> None:
    """An input pipeline reads a file without any op that is called after files."""
    case.model.body += [
        text_const("path", str(case.canary)),
        node("d", "TextLineDataset", ["path", "path", "path"]),
        node("r", "ReduceDataset", ["d"], f=call_attr("f")),
    ]


@refused("ops.denied", "DatasetFromGraph", "serving_default → f")
def call_dataset_from_graph(case: Case) -> None:
    """A graph inside a text that is only put together when it runs."""
    case.model.body += [
        text_const("packed", "Z3JhcGg="),
        node("text", "DecodeBase64", ["packed"]),
        node("d", "DatasetFromGraph", ["text"]),
    ]


@refused("ops.denied", "PyFunc", "serving_default → f")
def call_pyfunc_token(case: Case) -> None:
    """The first Python function that the serving process itself has registered."""
    case.model.body.append(node("p", "PyFunc", ["x"], token=text_attr("pyfunc_0")))


@refused("ops.denied", "ReadFile", "serving_default → f")
def call_gs_network(case: Case) -> None:
    """Reading a file is opening a connection where the file is in a bucket."""
    case.model.body += [text_const("path", "gs://bucket.invalid/x"), node("r", "ReadFile", ["path"])]


@refused("ops.denied", "RpcServer", "serving_default → f")
def call_rpc_server(case: Case) -> None:
    """A port is opened from inside the graph."""
    case.model.body += [
        text_const("address", "127.0.0.1:0"),
        node("s", "RpcServer", ["address"]),
        node("start", "RpcServerStart", ["s"]),
    ]


@refused("ops.file-attribute", "DecodeProtoV2", "descriptor_source", "function f")
def call_decodeproto_descriptor(case: Case) -> None:
    """An attribute of an op that computes is the path of a file."""
    case.model.body.append(node("d", "DecodeProtoV2", ["x"], descriptor_source=text_attr(str(case.canary))))


@refused("ops.file-attribute", "FixedUnigramCandidateSampler", "vocab_file", "function f")
def call_sampler_vocab(case: Case) -> None:
    """A sampler's vocabulary is any file, and its error message quotes it."""
    case.model.body.append(node("s", "FixedUnigramCandidateSampler", ["x"], vocab_file=text_attr(str(case.canary))))


@refused("ops.denied", "ImmutableConst", "serving_default → f")
def call_immutable_const(case: Case) -> None:
    """A file is mapped as a tensor."""
    case.model.body.append(node("c", "ImmutableConst", [], memory_region_name=text_attr(str(case.canary))))


@refused("ops.denied", "CreateSummaryFileWriter", "serving_default → f")
def call_summary_writer(case: Case) -> None:
    """A summary writer makes folders and files."""
    case.model.body += [
        text_const("folder", str(case.proof)),
        node("w", "SummaryWriter"),
        node("c", "CreateSummaryFileWriter", ["w", "folder"]),
    ]


@refused("ops.denied", "DumpTensor", "serving_default → f")
def call_dump_tensor(case: Case) -> None:
    """A tensor is dumped into a folder."""
    case.model.body.append(node("d", "DumpTensor", ["x"], log_dir_path=text_attr(str(case.proof))))


@refused("ops.denied", "DebugIdentityV3", "serving_default → f")
def call_debug_identity(case: Case) -> None:
    """The debugger writes what passes to a file."""
    case.model.body.append(node("d", "DebugIdentityV3", ["x"], debug_urls=text_attr(f"file://{case.proof}")))


@refused("ops.denied", "CacheDatasetV2", "serving_default → f")
def call_cache_dataset(case: Case) -> None:
    """An input pipeline caches into files."""
    case.model.body += [text_const("path", f"{case.proof}/cache"), node("c", "CacheDatasetV2", ["x", "path"])]


@refused("ops.checkpoint-io", "SaveV2", "serving_default → f")
def call_save_v2(case: Case) -> None:
    """The saver's own op writes files for a signature."""
    case.model.body += [text_const("path", f"{case.proof}/saved"), node("s", "SaveV2", ["path", "path", "path", "x"])]


@refused("ops.checkpoint-io", "RestoreV2", "serving_default → f")
def call_restore_v2(case: Case) -> None:
    """The saver's own op reads another model's weights for a signature."""
    case.model.body += [text_const("path", str(case.canary)), node("r", "RestoreV2", ["path", "path", "path"])]


@refused("ops.denied", "Abort", "serving_default → f")
def call_abort(case: Case) -> None:
    """The process that serves is ended."""
    case.model.body.append(node("a", "Abort"))


@refused("ops.denied", "ReadFile", "serving_default → f → extra2 → extra1 → extra0")
def call_readfile_nested(case: Case) -> None:
    """A file is read three functions deep, in a branch inside the body of a loop."""
    inner = case.add_function(node("r", "ReadFile", ["x"]))
    branch = case.add_function(case.call(inner, "PartitionedCall"))
    body = case.add_function(case.call(branch, "If", "else_branch"))
    case.model.body.append(case.call(body, "While", "body"))


@refused("ops.denied", "ReadFile", "serving_default → f → extra0")
def call_readfile_dead_branch(case: Case) -> None:
    """A file is read for one rare input only, which no trial run sends."""
    rare = case.add_function(node("r", "ReadFile", ["x"]))
    usual = case.add_function(node("same", "Identity", ["x"]))
    case.model.body += [
        node("is_rare", "Equal", ["x", "x"]),
        node("c", "If", ["is_rare", "x"], then_branch=call_attr(rare), else_branch=call_attr(usual)),
    ]
