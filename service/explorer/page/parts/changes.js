/** The history of a note or a list. */

import { useJson } from '../lib/hooks.js';
import { withQuery } from '../lib/api.js';
import { html } from './html.js';
import { Failure, Loading } from './states.js';

const SHOWN = 50;
const WHAT = { edit: 'wrote', vote: 'voted', restore: 'went back', import: 'brought in' };

/** `revision` is the present one; `onRestore(revision)` goes back to another. */
export function Changes({ url, revision, onRestore }) {
  const { data, error, retry } = useJson(withQuery(url, { limit: SHOWN }));
  if (error) return html`<${Failure} error=${error} retry=${retry} />`;
  if (!data) return html`<${Loading} />`;
  return html`<ol class="note-history" aria-label="History" reversed>${data.items.map((change) => html`<li key=${change.revision}>
      <p><b>${change.author ?? 'Somebody'}</b> ${WHAT[change.what] ?? change.what}
        ${' '}<span class="quiet">${new Date(change.time).toLocaleString()}</span></p>
      <p>${stateWords(change.after)}</p>
      ${change.revision !== revision && html`<button class="button small" onClick=${() => onRestore(change.revision)}
        aria-label=${`Go back to revision ${change.revision}`}>Go back to this</button>`}</li>`)}</ol>
    ${data.total > SHOWN && html`<p class="quiet">The last ${SHOWN} of ${data.total} changes.</p>`}`;
}

function stateWords({ name, text, tags = [], votes = null, items = null }) {
  const parts = [name && `“${name}”`, text && `“${text.length > 80 ? `${text.slice(0, 80)} …` : text}”`, tags.join(', ')];
  if (votes && votes.agree.length + votes.disagree.length) parts.push(`${votes.agree.length} agree, ${votes.disagree.length} do not`);
  if (items?.length) parts.push(`${items.length} items`);
  return parts.filter(Boolean).join(' · ') || 'nothing';
}
