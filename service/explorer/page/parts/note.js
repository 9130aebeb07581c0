/** What people wrote about something: read, changed, taken back. */

import { getFresh, write } from '../lib/api.js';
import { api } from '../lib/names.js';
import { html, useEffect, useState } from './html.js';
import { AddToList } from './lists.js';
import { Changes } from './changes.js';
import { Proposed } from './proposed.js';
import { say } from './toast.js';
import { Failure } from './states.js';

const LONGEST = { name: 200, text: 20000 };

/** `about` names it: `{layer, neuron}`, `{image}` or `{class}`. `onChange` is called after a change. */
export function Note({ index, about, onChange = () => {} }) {
  const url = api.note(index, about);
  return html`<${Known} key=${url} url=${url} index=${index} about=${about} onChange=${onChange} />`;
}

function Known({ url, index, about, onChange }) {
  const [note, setNote] = useState(null);
  const [problem, setProblem] = useState(null);
  const [edited, edit] = useState(null); // the note as it was when its form was opened; null while there is none
  const [shown, show] = useState(null); // null, 'history' or 'list'
  const look = () => getFresh(url).then(setNote, setProblem);
  useEffect(() => { look(); }, []);
  const refused = (error) => {
    setProblem(error);
    if (error.kind === 'revision-replaced') look();
  };
  const send = (method, link, body, then = () => {}) => write(method, link, body, note.revision).then((after) => {
    setNote(after);
    setProblem(null);
    then();
    onChange();
  }, refused);
  if (!note) return problem && html`<section class="note"><h2>Notes</h2><p class="quiet">${problem.detail}</p></section>`;
  const undo = () => send('POST', note.links.restore, { revision: note.revision - 1 }, () => say('The last change is taken back.'));
  const toggle = (part) => show(shown === part ? null : part);
  const begin = (from) => {
    edit(from);
    setProblem(null);
  };
  return html`<section class="note" aria-label="Notes">
    <h2>Notes</h2>
    ${edited ? html`<${Edit} key=${edited.revision} edited=${edited} note=${note} onTake=${() => begin(note)} onCancel=${() => begin(null)}
        onSave=${(body) => send('PUT', note.links.self, body, () => edit(null))} />`
      : html`<${Written} note=${note} /><${Votes} note=${note} onVote=${(vote) => send('PUT', note.links.vote, { vote })} />`}
    ${note.name === null && !edited && about.neuron !== undefined && html`<${Proposed} index=${index} about=${about}
      onTake=${(name) => send('PUT', note.links.self, { name, text: note.text, tags: note.tags })} />`}
    ${problem && html`<${Failure} error=${problem} />`}
    <p class="note-actions">
      ${!edited && html`<button class="button small" onClick=${() => begin(note)}>${isEmpty(note) ? 'Write' : 'Edit'}</button>`}
      ${note.revision > 0 && html`<button class="button small" onClick=${undo}>Undo</button>
        <button class="button small" aria-expanded=${shown === 'history'} onClick=${() => toggle('history')}>History</button>`}
      <button class="button small" aria-expanded=${shown === 'list'} onClick=${() => toggle('list')}>Add to a list</button>
    </p>
    ${shown === 'history' && html`<${Changes} key=${note.revision} url=${note.links.history} revision=${note.revision}
      onRestore=${(revision) => send('POST', note.links.restore, { revision }, () => show(null))} />`}
    ${shown === 'list' && html`<${AddToList} item=${{ index, ...about }} onDone=${() => show(null)} />`}
  </section>`;
}

const isEmpty = ({ name, text, tags }) => name === null && text === '' && !tags.length;

function Written({ note }) {
  if (isEmpty(note)) return html`<p class="quiet">Nobody has written anything here.</p>`;
  return html`${note.name && html`<p class="note-name">${note.name}</p>`}
    <div class="note-text" dangerouslySetInnerHTML=${{ __html: note.html }}></div>
    ${note.tags.length > 0 && html`<ul class="note-tags" aria-label="Tags">${note.tags.map((tag) => html`<li key=${tag}>${tag}</li>`)}</ul>`}
    <p class="quiet">${note.author ?? 'Somebody'}, ${new Date(note.time).toLocaleString()}</p>`;
}

function Votes({ note, onVote }) {
  if (isEmpty(note)) return null;
  const { agree, disagree } = note.votes;
  return html`<p class="note-actions">
      <button class="button small" onClick=${() => onVote(1)} title=${names(agree)}>Agree ${agree.length}</button>
      <button class="button small" onClick=${() => onVote(-1)} title=${names(disagree)}>Disagree ${disagree.length}</button>
      ${agree.length + disagree.length > 0 && html`<button class="button small" onClick=${() => onVote(0)}>Take my vote back</button>`}
    </p>`;
}

const names = (voters) => voters.map((name) => name ?? 'somebody').join(', ') || 'nobody';

/**
 * The form of a note that was opened when it was as `edited`. What is written in it stays, whatever `note` has become since:
 * that is shown above it, to be taken or replaced.
 */
function Edit({ edited, note, onTake, onSave, onCancel }) {
  const replaced = note.revision !== edited.revision;
  const save = (event) => {
    event.preventDefault();
    const given = new FormData(event.target);
    onSave({ name: given.get('name'), text: given.get('text').replaceAll('\r\n', '\n'), tags: given.get('tags').split(',') });
  };
  return html`${replaced && html`<section class="note-now" aria-label="What is there now"><h3>What is there now</h3><${Written} note=${note} />
      <p><button class="button small" onClick=${onTake}>Drop mine and edit this</button></p></section>`}
  <form class="note-form" onSubmit=${save}>
    <label>Name<input name="name" maxlength=${LONGEST.name} defaultValue=${edited.name ?? ''} autofocus /></label>
    <label>Note (Markdown)<textarea name="text" rows="6" maxlength=${LONGEST.text} defaultValue=${edited.text}></textarea></label>
    <label>Tags (separated by commas)<input name="tags" defaultValue=${edited.tags.join(', ')} /></label>
    <p class="note-actions"><button class="button small">${replaced ? 'Save mine in its place' : 'Save'}</button>
      <button type="button" class="button small" onClick=${onCancel}>Cancel</button></p>
  </form>`;
}
