/** Choices: one of a few, one of many, on or off; and a field that is typed into. */

import { html, useLayoutEffect, useState } from './html.js';

/** One of a few, side by side; `options` are [value, label]. */
export function Segmented({ label, value, options, onChange }) {
  return html`<fieldset class="segmented"><legend>${label}</legend><div>
    ${options.map(([option, text]) => html`<label key=${option}>
      <input type="radio" name=${label} value=${option} checked=${option === value} onChange=${() => onChange(option)} />
      <span>${text}</span></label>`)}
  </div></fieldset>`;
}

/** One of many; `options` are [value, label], '' stands for none. */
export function Choice({ label, value, options, onChange }) {
  return html`<label class="choice"><span>${label}</span>
    <select value=${value ?? ''} onChange=${(event) => onChange(event.target.value)}>
      ${options.map(([option, text]) => html`<option key=${option} value=${option} selected=${option === (value ?? '')}>
        ${text}</option>`)}
    </select></label>`;
}

export function Switch({ label, on, onChange }) {
  return html`<label class="switch"><input type="checkbox" role="switch" checked=${on}
    onChange=${(event) => onChange(event.target.checked)} /><span>${label}</span></label>`;
}

/**
 * A field that shows `value`, what is stored: until that changes, what somebody types in it stays. An <input> with a value and
 * without this would show what is stored again each time that anything is drawn anew. `onStore` gets what was typed, if it is valid.
 */
export function Typed({ value, onStore, ...own }) {
  const [text, setText] = useState(stored(value));
  useLayoutEffect(() => setText(stored(value)), [value]);
  const store = ({ target }) => target.reportValidity() && onStore(target.value);
  return html`<input ...${own} value=${text} onInput=${(event) => setText(event.target.value)} onChange=${store} />`;
}

const stored = (value) => String(value ?? '');

/** Classes as options, with "any" first. */
export const classOptions = (classes, any = 'Any class') =>
  [['', any], ...(classes ?? []).map((one) => [one.class, `${one.class} (${one.images})`])];
