"""How `attnviz models` gives out what there is: as tables or JSON."""

from attnviz.cli.giving import check_output, json_to, tables
from attnviz.cli.options import DataOutput, ModelChoice
from attnviz.cli.output import results
from attnviz.errors import RequestError
from attnviz.model.describe import describe
from attnviz.models.catalog import Catalog, Described
from attnviz.models.describe import catalog
from attnviz.show.data import answer_json
from attnviz.show.terminal.models import table


def check_form(output: DataOutput) -> None:
    """Refuse an output that models have no form for, before anything is fetched."""
    if output.save:
        raise RequestError("models looks at no sentence that --save could keep", "use -o FILE")
    if output.form not in ("table", "json", "jsonl"):
        what = "a picture" if output.form == "picture" else f"a file of {output.form}"
        raise RequestError(
            f"{output.file} is the name of {what}, and models gives tables and JSON",
            "end its name in .txt or .json",
        )
    check_output(output)


def give_catalog(output: DataOutput) -> None:
    """All models at hand."""
    _give(output, catalog(ModelChoice().name))


def give_model(name: str, trust_remote_code: bool, output: DataOutput) -> None:
    """What one model is made of."""
    _give(output, describe(name, trust_remote_code))


def _give(output: DataOutput, answer: Catalog | Described) -> None:
    with results(output.file) as stream:
        if output.form == "table":
            with tables(stream, output.file) as write:
                write([table(answer)])
        else:
            json_to(stream)([answer_json(answer)])
