/** Two pictures of one size, of which a slider shows more of the one or the other. */

import { html, useState } from './html.js';
import { Picture } from './picture.js';

export function BeforeAfter({ before, after }) {
  const [share, setShare] = useState(50);
  return html`<div class="before-after">
    <div class="before-after-pictures"><${Picture} src=${before} alt="Before" />
      <div class="before-after-over" style=${{ clipPath: `inset(0 0 0 ${share}%)` }}><${Picture} src=${after} alt="After" /></div></div>
    <label class="choice"><span>before</span><input type="range" min="0" max="100" value=${share} aria-label="How much of the picture is shown as before"
      onInput=${(event) => setShare(Number(event.target.value))} /><span>after</span></label></div>`;
}
