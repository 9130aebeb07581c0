"""Every sentence of docs/safety.md has a test that shows it: here is which, with the words that it shows."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "safety.md").read_text("utf-8")
PROSE = PAGE.partition("## How hostile requests are answered")[0]

SERVER, SAFETY, ADMISSION = "service/test_server.py", "service/test_safety.py", "service/test_admission.py"
HOSTILE, READING, UPLOADS = "indexer/test_hostile_files.py", "indexer/test_reading.py", "service/test_uploads.py"
REQUESTS = "service/test_hostile_requests.py"
ACCESS, JOBS = "service/test_jobs_access.py", "service/test_jobs_http.py"
EACH_REQUEST = f"{REQUESTS}::test_each_gets_what_the_table_says"

PROMISES = {
    "If an index was built with --follow-links, links may lead out of the image root, but the path itself may not.":
        "indexer/test_relabel.py::test_links_that_are_followed_may_leave_the_root_but_paths_may_not",
    "The service trusts neither requests nor the files of an index from elsewhere.":
        EACH_REQUEST,
    "A body that is too large is refused by its length before it is read (413).":
        f"{SERVER}::test_a_body_far_above_the_limit_is_refused_by_its_length_alone",
    "A body in chunks is refused as soon as more has arrived than is allowed (413), and one with neither a length nor"
    " chunks at once (411).":
        f"{SERVER}::test_bodies_without_a_length",
    "A body stays in memory, and is gone with the request.":
        f"{UPLOADS}::test_large_files_are_taken_up_to_the_limit",
    "An image's size in pixels is checked before anything is decoded.":
        f"{UPLOADS}::test_a_bomb_is_refused_before_it_is_decoded",
    "Only formats that Pillow decodes itself are opened; EPS, PDF and SVG are not among them.":
        EACH_REQUEST,
    "Of an animation the first frame is used; EXIF orientation is applied, transparency is laid on white, and 16 bits"
    " are scaled to 8.":
        f"{READING}::test_of_several_frames_the_first_is_taken",
    "No path of a request is ever joined to a folder: an index is looked up in the list of the served ones, an image "
    "by its number.":
        f"{SAFETY}::test_paths_lead_nowhere_else",
    "The path that an index holds for an image is resolved, symbolic links included, and must stay below the image "
    "root. The file must be a regular one with the SHA-256 that was indexed; otherwise nothing of it is shown.":
        f"{SAFETY}::test_an_original_replaced_by_a_link_is_not_followed",
    "A file of an index that is a symbolic link out of the index is refused.":
        f"{HOSTILE}::test_links_out_of_the_index_are_refused",
    "With --tokens, a request without a known token gets nothing below /v1 (401).":
        f"{ADMISSION}::test_everything_under_v1_is_closed_and_nothing_else",
    "To such a request, /readyz says only whether the service is ready, and /metrics leaves out the figures of single"
    " indexes: neither names an index or a file.":
        f"{ADMISSION}::test_strangers_are_told_no_names_and_no_files",
    "The log has the name of the token that was used, never the token.":
        f"{ADMISSION}::test_the_log_says_whose_token_asked",
    "Who may run jobs. With --tokens, a token with the role run may run jobs and end its own; one with write may end "
    "those of others, too.":
        f"{ACCESS}::test_only_the_token_that_made_a_job_or_one_with_write_ends_it",
    "A token without roles may only read.":
        f"{ACCESS}::test_jobs_are_run_with_the_role_for_it",
    "Without --tokens, only requests from the machine itself run or end jobs (403 for others).":
        f"{ACCESS}::test_without_tokens_jobs_are_for_this_machine_alone",
    "Every client that may read an index sees all jobs about it and their results.":
        f"{ACCESS}::test_only_the_token_that_made_a_job_or_one_with_write_ends_it",
    "Pages of strangers. A browser can be made to send requests to a service that only its owner reaches, by a link or "
    "by a name that leads to the service's address (DNS rebinding). So whatever is not GET, HEAD or OPTIONS gets 403 "
    "under a host that is not known, and from an origin that is not the service's own. Known are all addresses, "
    "localhost, --host and the names of --hosts; of origins, the service's own, those of --origins, and pages of the "
    "names of --hosts. A request without Origin does not come from a page.":
        f"{ACCESS}::test_changes_need_a_known_host_and_origin",
    "Results of jobs are made of an index and are shown to whoever may read it. They are bound to a generation: as "
    "soon as another is served, which may lack a removed image, they are answered with 410, and their files are erased "
    "soon after.":
        f"{JOBS}::test_a_removed_image_is_hidden_at_once_and_its_results_are_erased",
    "Whoever can write to the folder of results can forge results; the default folder is refused unless it is this "
    "user's alone.":
        f"{JOBS}::test_a_loopback_service_has_a_folder_of_its_own",
    "A client that opens connections and says nothing holds nobody up: when others wait, the connections that were "
    "idle longest are closed.":
        "service/test_descriptors.py::test_idle_connections_leave_room_for_others",
    "A question that takes longer than --question-seconds is ended (504).":
        "service/test_deadline.py::test_a_deep_question_ends_with_504",
    "Nothing is executed.":
        f"{SAFETY}::test_a_manifest_is_not_trusted_to_import_code",
    "Weights are loaded with weights_only; a network from somebody's own code (module:factory) is imported, and a "
    "TorchScript or exported program loaded, only if --model names it, whatever a manifest says.":
        f"{SAFETY}::test_an_owners_network_is_used_where_the_setting_names_it",
    "An encoder of texts is imported only if --encoder names it.":
        "service/test_by_text.py::test_what_is_missing_is_named",
    "HDF5, FAISS and JSON hold no code.":
        f"{HOSTILE}::test_garbled_files_do_no_harm",
    "manifest.json is checked against a schema with bounds before it is used.":
        f"{HOSTILE}::test_a_manifest_that_asks_for_too_much_is_refused",
    "FAISS files are parsed here first (indexer/derive/nearest/vectors_file.py): only the three kinds of index that "
    "the indexer writes are read, and every count, every size and the length of the file must be right to the byte.":
        f"{HOSTILE}::test_every_cut_is_refused",
    "FAISS itself trusts such numbers: wrong ones make it crash, or allocate memory without bounds.":
        f"{HOSTILE}::test_faiss_can_read_whatever_is_accepted",
    "Ids in its lists are checked when a search finds them.":
        f"{HOSTILE}::test_ids_that_are_not_there_are_left_out",
    "HDF5 files may not name other files (external storage, external and soft links, virtual datasets): otherwise a "
    "shard could show /etc/passwd.":
        f"{HOSTILE}::test_a_shard_cannot_show_another_file",
    "All bytes of an array must lie in the file, and every chunk must have the right shape and length.":
        f"{HOSTILE}::test_what_claims_to_be_enormous_is_not_read",
    "HDF5 itself is a C library. So when an index is first seen, a separate process with bounded memory and time "
    "reads everything in it that the service would let HDF5 read. If that process crashes or exceeds its bounds, the "
    "index is refused.":
        f"{HOSTILE}::test_what_harms_its_reader_harms_another_process",
    "--examine false leaves this out, for indexes that you made yourself.":
        f"{HOSTILE}::test_a_good_index_and_a_damaged_one_are_left_to_the_reader",
    "tests/indexer/test_hostile_files.py garbles manifests, shards, derived files and FAISS files; each time the "
    "reader must end in order, within 1.5 GB.":
        f"{HOSTILE}::test_garbled_files_do_no_harm",
    "If a number in a derived file names no image or no cell, the questions that read it get a 503 that names the "
    "file (tests/service/test_wrong_values.py); all others are answered.":
        "service/test_wrong_values.py::test_an_order_that_names_no_image",
    "A pack from elsewhere is taken apart only into files that an index has, each with the size and the digest that "
    "its list says.":
        "indexer/test_pack.py::test_a_pack_whose_manifest_lists_other_files",
    "Links, paths that lead out, names that are there twice and more bytes than declared are refused, and a pack of "
    "which anything is refused leaves nothing.":
        "indexer/test_pack.py::test_a_name_that_no_index_has",
    "If the code of a network raises an exception on an upload, the exception goes to the log, with the file and the "
    "line. The client is told only that the network fails (422).":
        "service/test_failing_networks.py::test_clients_get_one_line_and_the_log_the_rest",
}  # fmt: skip
NOT_PROMISED = (
    "Two things are not promised. Only the first generation of an index is examined: if its maker turns hostile "
    "afterwards and HDF5 crashes on a later one, that worker process ends and is replaced.",
    "And somebody who can write to an index while it is served can change a file between the check and its use.",
    "So let only people whom you trust write to the indexes that you serve; an index from elsewhere is examined when "
    "it arrives.",
)


def plain(text: str) -> str:
    """Without headings, marks and line breaks."""
    lines = [line.removeprefix("- ") for line in text.splitlines() if not line.startswith("#")]
    return re.sub(r"\s+", " ", re.sub(r"[`*]", "", "\n".join(line.strip() for line in lines))).strip()


@pytest.mark.parametrize("promise", [*PROMISES, *NOT_PROMISED])
def test_the_page_says_so(promise: str) -> None:
    assert promise in plain(PROSE)


@pytest.mark.parametrize("test", sorted(set(PROMISES.values())))
def test_the_test_is_there(test: str) -> None:
    file, _, name = test.partition("::")
    assert re.search(rf"^def {name}\(", (ROOT / "tests" / file).read_text("utf-8"), re.MULTILINE)


def test_no_sentence_is_without_a_test() -> None:
    left = plain(PROSE)
    for sentence in sorted([*PROMISES, *NOT_PROMISED], key=len, reverse=True):
        left = left.replace(sentence, "")
    assert left.split() == []
