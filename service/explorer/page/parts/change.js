/** What can be done to an image, indexed or uploaded: fool the network, dream, paint in a style. Each is a job. */

import { useBegin } from '../lib/jobs.js';
import { tellingLayer } from '../lib/names.js';
import { Changed } from './changed.js';
import { Choice, Segmented } from './controls.js';
import { html, useState } from './html.js';
import { Failure } from './states.js';
import { StylePicker } from './style-picker.js';

/**
 * `source.change(use, asked)` starts a job; `id` is the job whose result is shown, `onChange(id)` shows another or none.
 * `said` is the network's answer or null; `uploaded` whether the image is the reader's own.
 */
export function Change({ index, layers, said, source, id, onChange, uploaded = false }) {
  const [open, setOpen] = useState(null);
  const { begin, problem, busy } = useBegin();
  const ask = (use, asked) => begin(source.change(use, asked), ({ job }) => {
    setOpen(null);
    onChange(job);
  });
  if (id) return html`<${Changed} index=${index} id=${id} onClose=${() => onChange(null)} />`;
  const uses = Object.entries(USES).filter(([use]) => use !== 'fool' || said);
  const Form = open && USES[open].form;
  return html`<div class="change"><p class="why-ask">
      ${uses.map(([use, { label }]) => html`<button class="button" key=${use} aria-expanded=${use === open} onClick=${() => setOpen(use === open ? null : use)}>${label}</button>${' '}`)}</p>
    ${problem && html`<${Failure} error=${problem} />`}
    ${Form && html`<${Form} index=${index} layers=${layers} said=${said} uploaded=${uploaded} busy=${busy} ask=${(asked) => ask(open, asked)} />`}</div>`;
}

function Panel({ label, busy, onStart, children }) {
  const start = (event) => {
    event.preventDefault();
    onStart();
  };
  return html`<form class="change-form" aria-label=${label} onSubmit=${start}>${children}
    <button class="button" disabled=${busy}>Start</button></form>`;
}

const layerOptions = (layers) => layers.map((one) => [one.layer, one.layer]);
const spatial = (layers) => layers.filter((one) => one.height * one.width > 1);

function FoolForm({ said, busy, ask }) {
  const [target, setTarget] = useState('');
  const [norm, setNorm] = useState('l2');
  return html`<${Panel} label="Fool the network" busy=${busy} onStart=${() => ask({ target: target.trim() || null, norm })}>
    <p class="quiet">The smallest change after which the network answers something else, and the neurons that it turns.</p>
    <div class="controls"><label class="choice"><span>To be answered as</span><input value=${target} list="answers" placeholder="anything else"
        maxlength="1024" onInput=${(event) => setTarget(event.target.value)} /></label>
      <datalist id="answers">${said.answers.slice(1).map((one) => html`<option key=${one.output} value=${one.name} />`)}</datalist>
      <${Segmented} label="Smallest by" value=${norm} options=${[['l2', 'L2'], ['linf', 'L∞']]} onChange=${setNorm} /></div></${Panel}>`;
}

const STRENGTHS = { slight: { octaves: 3, steps: 5 }, usual: { octaves: 4, steps: 10 }, strong: { octaves: 4, steps: 30 } };

function DreamForm({ layers, busy, ask }) {
  const [layer, setLayer] = useState(tellingLayer(layers));
  const [neurons, setNeurons] = useState('');
  const [strength, setStrength] = useState('usual');
  const chosen = neurons.split(',').map((part) => part.trim()).filter(Boolean).map(Number);
  return html`<${Panel} label="Dream" busy=${busy} onStart=${() => ask({ layer, neurons: chosen.length ? chosen : null, ...STRENGTHS[strength] })}>
    <p class="quiet">The image is changed so that a layer, or some of its neurons, sees more of what it sees already.</p>
    <div class="controls"><${Choice} label="Layer" value=${layer} options=${layerOptions(layers)} onChange=${setLayer} />
      <label class="choice"><span>Neurons</span><input value=${neurons} placeholder="all" pattern=" *[0-9]+( *, *[0-9]+)* *" title="Numbers with commas between them"
        inputmode="numeric" onInput=${(event) => setNeurons(event.target.value)} /></label>
      <${Segmented} label="How far" value=${strength} options=${Object.keys(STRENGTHS).map((name) => [name, name])} onChange=${setStrength} /></div></${Panel}>`;
}

const WEIGHTS = { less: 1, usual: 10, more: 100 };
const MOST_LAYERS = 8;

function ArtForm({ index, layers, uploaded, busy, ask }) {
  const own = spatial(layers).length ? spatial(layers) : layers;
  const [layer, setLayer] = useState(own[Math.floor((own.length - 1) / 2)].layer);
  const [weight, setWeight] = useState('usual');
  const [role, setRole] = useState('content');
  const [other, setOther] = useState(null);
  const upTo = own.slice(0, own.findIndex((one) => one.layer === layer) + 1).map((one) => one.layer).slice(-MOST_LAYERS);
  const whose = uploaded ? { other, upload_is: role } : { style: other };
  const start = () => ask({ ...whose, layer, style_layers: upTo, weight: WEIGHTS[weight] });
  return html`<${Panel} label="Paint in a style" busy=${busy || other === null} onStart=${start}>
    <p class="quiet">The content of one image in the style of another, as layers of this network see them. Style at ${upTo.join(', ')}.</p>
    <div class="controls">
      ${uploaded && html`<${Segmented} label="Your image is the" value=${role} options=${[['content', 'content'], ['style', 'style']]} onChange=${setRole} />`}
      <${Choice} label="Content at" value=${layer} options=${layerOptions(own)} onChange=${setLayer} />
      <${Segmented} label="Style counts" value=${weight} options=${Object.keys(WEIGHTS).map((name) => [name, name])} onChange=${setWeight} /></div>
    <${StylePicker} index=${index} label=${role === 'style' ? 'Image to paint' : 'Image whose style it gets'} value=${other} onChange=${setOther} /></${Panel}>`;
}

const USES = {
  fool: { label: 'Fool the network', form: FoolForm },
  dream: { label: 'Dream', form: DreamForm },
  art: { label: 'Paint in a style', form: ArtForm },
};
