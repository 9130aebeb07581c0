"""Views of what a network has learned: classes, confusions, reports, and comparisons of indexes."""

from indexer.pictures.chart import trend_chart
from indexer.query.learning import classes
from indexer.query.learning.answering.confusion import confusion
from indexer.query.learning.compare import compare
from indexer.query.learning.neurons import correlated
from indexer.query.learning.report import of_confusion, report
from indexer.query.learning.report_text import STYLE, WRITERS
from indexer.query.learning.trend import trend
from service.http.paging import cut, listing
from service.payloads import learning
from service.questions import Document, Json, Question


def list_correlated(question: Question, layer: str, neuron: int, limit: int, offset: int) -> Json:
    names, page = question.names, correlated(question.index, layer, neuron, limit, offset)
    return listing(page, lambda pair: learning.correlated(question.links, names, layer, *pair))


def list_layer_classes(question: Question, layer: str, auc: float, limit: int, offset: int) -> Json:
    page = cut(classes.coverage(question.index, layer, auc), limit, offset)
    return listing(page, lambda coverage: learning.coverage(question.links, layer, coverage))


def get_layer_class(question: Question, layer: str, class_: str, auc: float, limit: int) -> Json:
    index, links, names = question.index, question.links, question.names
    code = index.images.code_of(class_)
    class_ = index.classes[code]
    neurons = classes.best_neurons(index, layer, class_, limit)
    return {
        **learning.coverage(links, layer, classes.coverage(index, layer, auc)[code]),
        "neurons": [
            learning.class_neuron(links, names, layer, best.neuron, auc=best.auc, mean=best.mean) for best in neurons
        ],
        "like": [
            learning.like(links, layer, class_, pair.b, pair.likeness)
            for pair in classes.like(index, layer, class_, limit)
        ],
        "profile": classes.profile(index, layer, class_).tolist(),
    }


def get_pair(question: Question, layer: str, a: str, b: str, limit: int) -> Json:
    index, links, names = question.index, question.links, question.names
    codes = index.images.code_of(a), index.images.code_of(b)
    a, b = (index.classes[code] for code in codes)
    shared = classes.shared(index, layer, a, b, limit)
    apart = classes.contrast(index, layer, a, b, limit)
    return {
        "layer": layer,
        "a": a,
        "b": b,
        "likeness": float(classes.likeness(index, layer)[codes]),
        "shared": [
            learning.class_neuron(links, names, layer, n, auc_a=auc_a, auc_b=auc_b) for n, auc_a, auc_b in shared
        ],
        "apart": [learning.class_neuron(links, names, layer, best.neuron, auc=best.auc) for best in apart],
        "links": {"a": links.layer_class(layer, a), "b": links.layer_class(layer, b)},
    }


def get_likeness(question: Question, layer: str) -> Json:
    matrix = classes.likeness(question.index, layer).tolist()
    return {"layer": layer, "classes": question.index.classes, "matrix": matrix}


def get_confusion(question: Question) -> Json:
    return learning.confusion(question.links, of_confusion(confusion(question.index)))


def get_report(question: Question, auc: float, format: str) -> Json | Document:
    content = learning.report(question.links, report(question.index, auc) | {"index": question.name})
    if format == "json":
        return content
    media_type, write = WRITERS[format]
    return Document(write(content), media_type, STYLE if format == "html" else None)


def compare_indexes(
    questions: list[Question], layer: str, layer_b: str | None, sort: str, repeats: bool, limit: int, offset: int
) -> Json:
    a, b = questions
    compared = compare(a.index, b.index, layer, layer_b)
    neurons = cut(compared.ranked(sort, repeats=repeats).tolist(), limit, offset)
    layers = compared.a.layer.name, compared.b.layer.name
    return compared.summary() | listing(
        neurons, lambda neuron: learning.compared((a.links, b.links), layers, compared.row(neuron))
    )


def get_trend(questions: list[Question], layer: str | None) -> Json:
    return trend([question.index for question in questions], layer)


def draw_trend(questions: list[Question], layer: str | None) -> Document:
    return Document(trend_chart(get_trend(questions, layer)), "image/svg+xml")
