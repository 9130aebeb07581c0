/** The reader's own image: dropped anywhere, pasted, or chosen. */

import { to } from '../lib/names.js';
import { go } from '../lib/route.js';
import { take } from '../lib/upload.js';
import { html, useEffect, useRef, useState } from './html.js';
import { say } from './toast.js';

function accept(index, files) {
  if (!files.length) return;
  if (files.length > 1) say(`One image at a time: taking ${files[0].name}.`);
  take(files[0]);
  go(to.lookup(index));
}

/** A button that opens the file dialog. */
export function Chooser({ index, label = 'Your image' }) {
  const field = useRef(null);
  const chosen = (event) => {
    accept(index, [...event.target.files]);
    event.target.value = '';
  };
  return html`<button class="button chooser" onClick=${() => field.current.click()}>${label}</button>
    <input ref=${field} type="file" accept="image/*" hidden onChange=${chosen} aria-label="Image file" />`;
}

const TYPED_INTO = 'input, textarea, select, [contenteditable]';

/**
 * The images that a paste means, none if it means something else: text in a field, or text of which a program (a spreadsheet)
 * gives a picture, too. A file manager gives the names of its files as text.
 */
function pastedImages({ target, clipboardData }) {
  if (!clipboardData || target.closest?.(TYPED_INTO)) return [];
  const images = [...clipboardData.files].filter((file) => file.type.startsWith('image/'));
  const text = clipboardData.getData('text/plain');
  return text === '' ? images : images.filter((file) => text.includes(file.name));
}

const holdsFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes('Files');

/** Listens on the whole page while an index is open. */
export function DropAnywhere({ index }) {
  const [over, setOver] = useState(false);
  useEffect(() => {
    let depth = 0;
    const enter = (event) => {
      if (!holdsFiles(event)) return;
      depth += 1;
      setOver(true);
    };
    const hold = (event) => holdsFiles(event) && event.preventDefault();
    const leave = (event) => {
      if (!holdsFiles(event)) return;
      depth -= 1;
      if (depth <= 0) setOver(false);
    };
    const drop = (event) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      depth = 0;
      setOver(false);
      accept(index, [...event.dataTransfer.files]);
    };
    const paste = (event) => accept(index, pastedImages(event));
    const listen = { dragenter: enter, dragover: hold, dragleave: leave, drop, paste };
    for (const [name, listener] of Object.entries(listen)) document.addEventListener(name, listener);
    return () => {
      for (const [name, listener] of Object.entries(listen)) document.removeEventListener(name, listener);
    };
  }, [index]);
  return over && html`<div class="drop"><p>Drop the image to see what fires on it</p></div>`;
}
