/** Short messages at the foot of the page, which screen readers read out. */

import { html, useEffect, useState } from './html.js';

const SHOWN_MS = 5000;
let show = () => {};

/** Show a message. `link` appears below it, to be copied by hand if the browser does not let the page copy it. */
export const say = (text, link = null) => show({ text, link });

export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    say(`Copied: ${what}`);
  } catch {
    say('Copy this link:', text);
  }
}

export function Toast() {
  const [message, setMessage] = useState(null);
  show = setMessage;
  useEffect(() => {
    if (!message) return undefined;
    const timer = setTimeout(() => setMessage(null), SHOWN_MS * (message.link ? 4 : 1));
    return () => clearTimeout(timer);
  }, [message]);
  return html`<div class="toast" role="status" data-shown=${message ? '' : null}>
    ${message && html`<p>${message.text}</p>${message.link && html`<input readonly aria-label="Link" value=${message.link}
      ref=${(field) => field?.select()} />`}`}
  </div>`;
}
