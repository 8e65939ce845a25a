"""How `attnviz models` gives out what there is: as tables or JSON."""

from collections.abc import Iterator

from rich.console import RenderableType

from attnviz.cli.giving import check_output, json_to, tables
from attnviz.cli.options import DataOutput, ModelChoice
from attnviz.cli.output import results
from attnviz.errors import RequestError
from attnviz.model.describe import describe
from attnviz.models.catalog import Catalog, Described
from attnviz.models.describe import catalog
from attnviz.show.data import answer_json
from attnviz.show.terminal.models import catalog_tables, model_table


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
    found: Catalog = catalog(ModelChoice().name)
    _give(output, catalog_tables(found), answer_json(found))


def give_model(name: str, trust_remote_code: bool, output: DataOutput) -> None:
    """What one model is made of."""
    described: Described = describe(name, trust_remote_code)
    _give(output, model_table(described), answer_json(described))


def _give(output: DataOutput, looks: Iterator[RenderableType], data: bytes) -> None:
    with results(output.file) as stream:
        if output.form == "table":
            with tables(stream, output.file) as write:
                write(looks)
        else:
            json_to(stream)([data])
