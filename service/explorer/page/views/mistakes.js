/** Images that the network answers wrongly, with what it says instead. */

import { count, fileName, many, percent } from '../lib/format.js';
import { useJson, useList } from '../lib/hooks.js';
import { withQuery } from '../lib/api.js';
import { api, to } from '../lib/names.js';
import { change } from '../lib/route.js';
import { MatchedBy } from '../parts/answer.js';
import { Choice } from '../parts/controls.js';
import { html } from '../parts/html.js';
import { Picture } from '../parts/picture.js';
import { Empty, Failure, Loading, More } from '../parts/states.js';

const PAGE = 24;
const SORTS = [['confidence', 'most certain first'], ['rank', 'right answer lowest first'], ['image', 'by image']];

export function MistakesView({ index, query }) {
  const scores = useJson(api.scores(index));
  if (scores.error?.status === 404) {
    return html`<h1>Mistakes</h1><${Empty} title="The network's answers are not known"><p>${scores.error.detail}</p></${Empty}>`;
  }
  if (scores.error) return html`<h1>Mistakes</h1><${Failure} error=${scores.error} retry=${scores.retry} />`;
  if (!scores.data) return html`<${Loading} what="Counting answers" />`;
  return html`<${Mistakes} index=${index} query=${query} scores=${scores.data} />`;
}

function Mistakes({ index, query, scores }) {
  const [name, answered] = [query.get('class'), query.get('answered')];
  const sort = query.get('sort') ?? SORTS[0][0];
  const depth = Math.max(PAGE, Number(query.get('depth')) || PAGE);
  const list = useList(withQuery(api.mistakes(index), { class: name, answered, sort }), PAGE, depth);
  const classes = [['', 'Any class'], ...scores.classes.map((one) => [one.class, `${one.class} (${one.images - right(one)})`])];
  const said = [['', 'Any answer'], ...scores.classes.map((one) => [one.class, one.class])];
  const set = (parameter) => (value) => change({ [parameter]: value, depth: null });
  return html`
    <header class="title"><h1>Mistakes${name ? html` <small>on ${name}</small>` : ''}${answered ? html` <small>answered as ${answered}</small>` : ''}</h1>
      <p>${percent(scores.accuracy)} of ${many(scores.images, 'image')} are answered with their class${' '}
        · expected calibration error ${percent(scores.calibration_error)}${' '}
        · <a href=${to.classes(index, { what: 'confusion' })}>confusion matrix</a>${(name || answered) && html`${' '}
        · <a href=${to.why(index, { class: name, answered })}>why are these answered so?</a>`}</p></header>
    <div class="controls">
      <${Choice} label="Class" value=${name} options=${classes} onChange=${set('class')} />
      <${Choice} label="Answered as" value=${answered} options=${said} onChange=${set('answered')} />
      <${Choice} label="Order" value=${sort} options=${SORTS} onChange=${set('sort')} />
    </div>
    ${list.error && !list.items.length ? html`<${Failure} error=${list.error} retry=${list.retry} />`
      : !list.loading && !list.items.length ? html`<${Empty} title="No mistakes"><p>Every image is answered with its class${name || answered
        ? ', among those chosen' : ''}.</p></${Empty}>`
        : html`<ul class="patches">${list.items.map((mistake) => html`<${MistakeCard} key=${mistake.image} index=${index} mistake=${mistake} />`)}
          </ul><${More} list=${list} shown=${list.items.length} what="mistakes"
            onMore=${() => change({ depth: depth + 2 * PAGE }, { replace: true })} />`}
    <${Classes} index=${index} classes=${scores.classes} />
    <${MatchedBy} way=${scores.matched} />`;
}

const right = (one) => Math.round(one.images * (one.recall ?? 0));

const MistakeCard = ({ index, mistake }) => html`<li class="patch"><figure>
  <${Picture} src=${withQuery(mistake.links.picture, { size: 320 })} to=${to.image(index, mistake.image)}
    alt=${`${fileName(mistake.path)}, class ${mistake.class}, answered as ${mistake.answered}`} />
  <figcaption><b title="Probability of the answer">${percent(mistake.confidence)}</b>${' '}
    <span class="patch-class" title=${`${mistake.class} answered as ${mistake.answered}`}>${mistake.class} → ${mistake.answered}</span>
    <span class="quiet patch-file" title=${mistake.path}>right answer: rank ${count(mistake.rank)}, ${percent(mistake.own_confidence)}</span>
  </figcaption></figure></li>`;

const Classes = ({ index, classes }) => html`<section><h2>Classes</h2>
  <div class="table-frame" tabindex="0" role="region" aria-label="Classes"><table>
    <thead><tr><th>class</th><th>images</th><th>recall</th><th>precision</th><th>top 5</th></tr></thead>
    <tbody>${classes.map((one) => html`<tr key=${one.class}><th scope="row"><a href=${to.class(index, one.class)}>${one.class}</a></th>
      <td>${count(one.images)}</td>${[one.recall, one.precision, one.top5].map((share) => html`<td>${share === null ? '–' : percent(share)}</td>`)}
    </tr>`)}</tbody></table></div></section>`;
