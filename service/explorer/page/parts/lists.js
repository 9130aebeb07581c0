/** Lists that people make: one thing added to one of them. */

import { getFresh, write } from '../lib/api.js';
import { api, to } from '../lib/names.js';
import { html, useEffect, useState } from './html.js';
import { Failure } from './states.js';
import { say } from './toast.js';

/** An item of a list as it is sent. */
export const sent = ({ index, about: { layer, neuron, cell, direction, image, class: name, kind }, remark }) => ({
  index, remark, layer, neuron, direction, image, y: cell?.y, x: cell?.x, class: kind === 'class' ? name : undefined,
});

/** The id of a list with this name. */
const idOf = (name) => name.trim().toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 64);

export function AddToList({ item, onDone }) {
  const [lists, setLists] = useState([]);
  const [problem, setProblem] = useState(null);
  useEffect(() => { getFresh(`${api.lists()}?limit=200`).then(({ items }) => setLists(items), setProblem); }, []);
  const add = async (event) => {
    event.preventDefault();
    const given = new FormData(event.target);
    const name = given.get('list').trim();
    const url = api.list(lists.find((one) => (one.name ?? one.list) === name)?.list ?? idOf(name));
    try {
      const list = await getFresh(url);
      const items = [...list.items.map(sent), { ...item, remark: given.get('remark') }];
      await write('PUT', url, { name: list.name ?? name, text: list.text, items }, list.revision);
      say(`Added to ${name}.`);
      onDone();
    } catch (error) {
      setProblem(error);
    }
  };
  return html`<form class="note-form" onSubmit=${add}>
    <label>List<input name="list" required maxlength="64" pattern=".*[A-Za-z0-9].*" list="lists-known" autocomplete="off" /></label>
    <datalist id="lists-known">${lists.map((one) => html`<option key=${one.list} value=${one.name ?? one.list}></option>`)}</datalist>
    <label>Remark<input name="remark" maxlength="200" /></label>
    ${problem && html`<${Failure} error=${problem} />`}
    <p class="note-actions"><button class="button small">Add</button> <a href=${to.lists()}>All lists</a></p>
  </form>`;
}
