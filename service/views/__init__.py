"""The views, one for each route, by the name that openapi.yaml gives the route (``operationId``)."""

from collections.abc import Callable
from typing import Any, Final

from service import handlers
from service.handlers import Handler
from service.http.contract import Operation
from service.questions import Services
from service.views import cells, classes, figures, frontpage, images, indexes, layers, operations, points
from service.views.jobs import explaining, made, pictured, results, served
from service.views.learning import answers, reports, why
from service.views.notes import find, lists, notes, proposals
from service.views.search import atlas, by_text, concepts, direction, lookup, neuron_atlas

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
        served.list_jobs,
        served.get_job,
        served.delete_job,
        explaining.start_what_if,
        explaining.start_importance,
        explaining.start_why,
        explaining.start_upload_why,
        results.get_job_result,
        results.list_changed,
        results.get_importance,
        results.get_group_why,
        made.start_make,
        pictured.start_fool,
        pictured.start_upload_fool,
        pictured.start_dream,
        pictured.start_upload_dream,
        pictured.start_art,
        pictured.start_upload_art,
        made.get_optimal,
        made.list_optimal,
        made.get_optimal_picture,
        made.get_made_picture,
        find.find,
        notes.get_note,
        notes.put_note,
        notes.list_note_changes,
        notes.restore_note,
        notes.vote_on_note,
        notes.name_direction,
        notes.list_notes,
        proposals.list_proposals,
        proposals.refuse_proposal,
        lists.list_lists,
        lists.get_list,
        lists.put_list,
        lists.list_list_changes,
        lists.restore_list,
    ),
    handlers.answer: (
        indexes.get_index,
        layers.list_layers,
        layers.get_layer,
        layers.list_neurons,
        layers.get_neuron,
        layers.list_patches,
        layers.list_groups,
        atlas.get_atlas,
        atlas.get_atlas_points,
        atlas.list_atlas_patches,
        neuron_atlas.get_neuron_atlas,
        neuron_atlas.get_neuron_atlas_points,
        neuron_atlas.list_neuron_atlas_patches,
        images.list_images,
        images.get_image,
        images.list_firing,
        answers.get_answer,
        answers.list_mistakes,
        answers.get_scores,
        points.get_point,
        cells.list_similar,
        classes.list_classes,
        classes.get_class,
        reports.list_correlated,
        reports.list_layer_classes,
        reports.get_layer_class,
        reports.get_pair,
        reports.get_likeness,
        reports.get_confusion,
        reports.get_report,
    ),
    handlers.answer_by_network: (
        by_text.list_firing_for,
        why.get_why,
    ),
    handlers.across: (
        reports.compare_indexes,
        reports.get_trend,
        reports.draw_trend,
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
        direction.search_direction,
        atlas.select_in_atlas,
        neuron_atlas.select_in_neuron_atlas,
        concepts.find_concept,
        concepts.lookup_concept,
        points.lookup_point,
        points.lookup_heatmap,
    ),
}

VIEWS: Final = {view.__name__: (make_handler, view) for make_handler, views in HANDLERS.items() for view in views}
