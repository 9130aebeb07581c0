/** The lists that people made, and one of them with its items. */

import { write } from '../lib/api.js';
import { many } from '../lib/format.js';
import { useJson } from '../lib/hooks.js';
import { api, subjectWords, to, toSubject } from '../lib/names.js';
import { Changes } from '../parts/changes.js';
import { html, useState } from '../parts/html.js';
import { sent } from '../parts/lists.js';
import { Empty, Failure, Loading } from '../parts/states.js';

export const ListsView = ({ query }) => (query.get('list') ? html`<${One} id=${query.get('list')} />` : html`<${All} />`);

function All() {
  const { data, error, retry } = useJson(`${api.lists()}?limit=1000`);
  if (error) return html`<h1>Lists</h1><${Failure} error=${error} retry=${retry} />`;
  if (!data) return html`<${Loading} />`;
  return html`<header class="title"><h1>Lists</h1><p>${many(data.total, 'list')} of neurons, images and classes</p></header>
    ${!data.items.length ? html`<${Empty} title="No lists"><p>“Add to a list”, on the page of a neuron, an image or a class, makes one.</p></${Empty}>`
      : html`<ul class="list-rows">${data.items.map((one) => html`<li key=${one.list}><a href=${to.lists({ list: one.list })}>${one.name ?? one.list}</a>
        <span class="quiet">${many(one.length, 'item')}, ${one.author ?? 'somebody'}, ${new Date(one.time).toLocaleString()}</span></li>`)}</ul>`}`;
}

function One({ id }) {
  const { data, error, retry } = useJson(api.list(id));
  const [problem, setProblem] = useState(null);
  const [history, setHistory] = useState(false);
  if (error) return html`<h1>${id}</h1><${Failure} error=${error} retry=${retry} />`;
  if (!data) return html`<${Loading} />`;
  const send = (method, url, body) => write(method, url, body, data.revision).then(() => { setProblem(null); retry(); }, setProblem);
  const put = (items) => send('PUT', data.links.self, { name: data.name, text: data.text, items: items.map(sent) });
  const without = (number) => data.items.filter((_, other) => other !== number);
  const up = (number) => {
    const items = without(number);
    items.splice(number - 1, 0, data.items[number]);
    return items;
  };
  return html`<header class="title"><h1>${data.name ?? id} <small><a href=${to.lists()}>all lists</a></small></h1>
      <p>${many(data.length, 'item')}${data.time && `, ${data.author ?? 'somebody'}, ${new Date(data.time).toLocaleString()}`}</p></header>
    <div class="note-text" dangerouslySetInnerHTML=${{ __html: data.html }}></div>
    ${problem && html`<${Failure} error=${problem} retry=${() => { setProblem(null); retry(); }} />`}
    <ol class="list-rows">${data.items.map((item, number) => html`<li key=${JSON.stringify([item, number])}>
      ${item.links ? html`<a href=${toSubject(item.index, item.about)}>${subjectWords(item.about)}</a>` : html`<span>${subjectWords(item.about)}</span>`}
      <span class="quiet">in ${item.index}${item.links ? '' : ', which does not have it now'}</span> <span>${item.remark}</span>
      <span class="note-actions">${number > 0 && html`<button class="button small" onClick=${() => put(up(number))}
          aria-label=${`Move ${subjectWords(item.about)} up`}>↑</button>`}
        <button class="button small" onClick=${() => put(without(number))} aria-label=${`Take ${subjectWords(item.about)} out`}>Take out</button></span></li>`)}</ol>
    <p class="note-actions">${data.revision > 0 && html`
      <button class="button small" onClick=${() => send('POST', data.links.restore, { revision: data.revision - 1 })}>Undo</button>
      <button class="button small" aria-expanded=${history} onClick=${() => setHistory(!history)}>History</button>`}</p>
    ${history && html`<${Changes} key=${data.revision} url=${data.links.history} revision=${data.revision}
      onRestore=${(revision) => send('POST', data.links.restore, { revision })} />`}`;
}
