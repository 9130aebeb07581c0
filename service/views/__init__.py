"""The views, one for each route, by the name that openapi.yaml gives the route (``operationId``)."""

from collections.abc import Callable
from typing import Any, Final

from service import handlers
from service.handlers import Handler, Services
from service.http.contract import Operation
from service.views import (
    answers,
    cells,
    classes,
    concepts,
    figures,
    frontpage,
    images,
    indexes,
    job_results,
    jobs,
    layers,
    learning,
    lookup,
    made,
    operations,
    points,
    search,
    why,
)

MakeHandler = Callable[[Operation, Callable[..., Any], Services], Handler]

HANDLERS: Final[dict[MakeHandler, tuple[Callable[..., Any], ...]]] = {
    handlers.service_view: (
        frontpage.get_root,
        frontpage.get_explorer_file,
        operations.get_health,
        operations.get_readiness,
        operations.get_metrics,
        operations.get_contract,
        operations.get_reference,
        indexes.list_indexes,
        jobs.list_jobs,
        jobs.get_job,
        jobs.delete_job,
        jobs.start_what_if,
        jobs.start_importance,
        jobs.start_why,
        jobs.start_upload_why,
        job_results.get_job_result,
        job_results.list_changed,
        job_results.get_importance,
        job_results.get_group_why,
        made.start_make,
        made.start_fool,
        made.get_optimal,
        made.get_optimal_picture,
        made.get_made_picture,
    ),
    handlers.answer: (
        indexes.get_index,
        layers.list_layers,
        layers.get_layer,
        layers.list_neurons,
        layers.get_neuron,
        layers.list_patches,
        images.list_images,
        images.get_image,
        images.list_firing,
        answers.get_answer,
        why.get_why,
        answers.list_mistakes,
        answers.get_scores,
        points.get_point,
        cells.list_similar,
        classes.list_classes,
        classes.get_class,
        learning.list_correlated,
        learning.list_layer_classes,
        learning.get_layer_class,
        learning.get_pair,
        learning.get_likeness,
        learning.get_confusion,
        learning.get_report,
    ),
    handlers.across: (
        learning.compare_indexes,
        learning.get_trend,
        learning.draw_trend,
    ),
    handlers.picture: (
        images.get_image_file,
        images.get_image_picture,
        images.get_heatmap,
        cells.get_patch,
        figures.get_neuron_sheet,
        figures.get_neuron_tiles,
        figures.get_layer_sheet,
        figures.get_saliency,
    ),
    handlers.ask: (
        lookup.lookup_image,
        why.lookup_why,
        search.search_direction,
        concepts.find_concept,
        concepts.lookup_concept,
        points.lookup_point,
        points.lookup_heatmap,
    ),
}

VIEWS: Final = {view.__name__: (make_handler, view) for make_handler, views in HANDLERS.items() for view in views}
