/** The box that finds whatever has a name; the key / leads to it. */

import { useJson, useSettled } from '../lib/hooks.js';
import { withQuery } from '../lib/api.js';
import { api, subjectWords, toSubject } from '../lib/names.js';
import { go } from '../lib/route.js';
import { html, useEffect, useRef, useState } from './html.js';

const SHOWN = 12;
const TYPED_MS = 150;
const WHERE = { name: 'name', tag: 'tag', note: 'note', category: 'category', class: 'class', layer: 'layer', path: 'image' };

export function Find({ index }) {
  const box = useRef(null);
  const field = useRef(null);
  const [text, setText] = useState('');
  const [open, setOpen] = useState(false);
  const wanted = useSettled(text.trim(), TYPED_MS);
  const { data, error } = useJson(open && wanted ? withQuery(api.find(index), { q: wanted, limit: SHOWN }) : null);
  useEffect(() => {
    const slash = (event) => {
      if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, textarea, select')) return;
      event.preventDefault();
      field.current.focus();
      field.current.select();
    };
    const outside = (event) => { if (!box.current.contains(event.target)) setOpen(false); };
    addEventListener('keydown', slash);
    addEventListener('focusin', outside);
    addEventListener('pointerdown', outside);
    return () => {
      removeEventListener('keydown', slash);
      removeEventListener('focusin', outside);
      removeEventListener('pointerdown', outside);
    };
  }, []);
  const items = (open && wanted && data?.items) || [];
  const follow = (item) => {
    setOpen(false);
    field.current.blur();
    go(toSubject(index, item.about));
  };
  // Enter waits for the hits of what is typed: those that are shown may be of an earlier text. Another text, or Escape, ends it.
  const [entered, enter] = useState(null);
  const answered = entered !== null && entered === wanted && (data || error);
  useEffect(() => {
    if (answered || !open || entered !== text.trim()) enter(null);
    if (answered && open && entered === text.trim() && items.length) follow(items[0]);
  }, [entered, answered, open, text]);
  const submit = (event) => {
    event.preventDefault();
    if (open) enter(text.trim());
  };
  return html`<form class="find" role="search" ref=${box} onSubmit=${submit} onKeyDown=${(event) => move(event, setOpen, field)}>
    <input type="search" ref=${field} value=${text} maxlength="200" placeholder="Find  /" aria-label="Find"
      autocomplete="off" onFocus=${() => setOpen(true)} onInput=${(event) => { setText(event.target.value); setOpen(true); }} />
    ${open && wanted && html`<div class="find-list">
      <ul aria-label="Found">${items.map((item, number) => html`<li key=${number}><a href=${toSubject(index, item.about)} onClick=${() => setOpen(false)}>
        <span>${item.text}</span> <small>${placeWords(item)}</small></a></li>`)}</ul>
      <p class="quiet" role="status">${summary(data, error, items)}</p></div>`}
  </form>`;
}

const placeWords = ({ in: where, about }) => (['layer', 'class', 'path'].includes(where) ? WHERE[where] : `${WHERE[where]} · ${subjectWords(about)}`);

function summary(data, error, items) {
  if (error) return error.detail;
  if (!data) return 'Looking …';
  const count = items.length ? `${data.more ? 'The first ' : ''}${items.length}.` : 'Nothing is called so.';
  return data.notes ? count : `${count} Notes are not searched: they are off, or cannot be read now.`;
}

/** Arrow keys move between the box and what was found; Escape closes it. */
function move(event, setOpen, field) {
  if (event.key === 'Escape') {
    field.current.focus(); // which opens the list
    setOpen(false);
  }
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!by) return;
  event.preventDefault();
  const stops = [field.current, ...event.currentTarget.querySelectorAll('a')];
  stops[Math.min(Math.max(stops.indexOf(document.activeElement) + by, 0), stops.length - 1)].focus();
}
