/** Finds the view of a URL and shows it. */

import { forgetCalls } from '../lib/api.js';
import { useAnswer } from '../lib/hooks.js';
import { to } from '../lib/names.js';
import { useRoute } from '../lib/route.js';
import { DropAnywhere } from '../parts/drop.js';
import { html, useEffect, useLayoutEffect, useRef } from '../parts/html.js';
import { Shell } from '../parts/shell.js';
import { Empty, Failure, Loading } from '../parts/states.js';

/** Views are fetched when they are first shown. */
const VIEWS = {
  atlas: () => import('./atlas.js').then((module) => module.AtlasView),
  class: () => import('./class.js').then((module) => module.ClassView),
  classes: () => import('./classes.js').then((module) => module.ClassesView),
  compare: () => import('./compare.js').then((module) => module.CompareView),
  concept: () => import('./concept.js').then((module) => module.ConceptView),
  home: () => import('./home.js').then((module) => module.HomeView),
  image: () => import('./image.js').then((module) => module.ImageView),
  images: () => import('./images.js').then((module) => module.ImagesView),
  importance: () => import('./importance.js').then((module) => module.ImportanceView),
  index: () => import('./index.js').then((module) => module.IndexView),
  jobs: () => import('./jobs.js').then((module) => module.JobsView),
  layer: () => import('./layer.js').then((module) => module.LayerView),
  lists: () => import('./lists.js').then((module) => module.ListsView),
  lookup: () => import('./lookup.js').then((module) => module.LookupView),
  'neuron-atlas': () => import('./neuron-atlas.js').then((module) => module.NeuronAtlasView),
  neuron: () => import('./neuron.js').then((module) => module.NeuronView),
  mistakes: () => import('./mistakes.js').then((module) => module.MistakesView),
  report: () => import('./report.js').then((module) => module.ReportView),
  why: () => import('./why.js').then((module) => module.WhyView),
  trend: () => import('./trend.js').then((module) => module.TrendView),
  'what-if': () => import('./what-if.js').then((module) => module.WhatIfView),
};

/** Views of an index that have no parts. */
const ALONE = ['mistakes', 'what-if', 'importance', 'why', 'concept'];
/** Views of all indexes; an index of such a name has its other views only. */
const OF_ALL = ['compare', 'jobs', 'lists', 'trend'];

const found = (view, place, crumbs, props = {}) => ({ view, place, crumbs, props });

/** The view, its place in the navigation, the crumbs after the index, and its properties. */
function resolve([index, kind, name, part, number, ...more]) {
  if (index === undefined) return found('home', 'home', []);
  if (index === 'compare' && kind === undefined) return found('compare', 'compare', [['Compare', to.compare()]]);
  if (index === 'trend' && kind === undefined) return found('trend', 'compare', [['Compare', to.compare()], ['Trend', to.trend([])]]);
  if (index === 'jobs' && kind === undefined) return found('jobs', 'jobs', [['Jobs', to.jobs()]]);
  if (index === 'lists' && kind === undefined) return found('lists', 'lists', [['Lists', to.lists()]]);
  const extra = more.length > 0 || (kind !== 'layers' && part !== undefined) || (ALONE.includes(kind) && name !== undefined);
  if (extra) return null;
  if (kind === undefined) return found('index', 'layers', []);
  if (kind === 'layers' && name !== undefined) return inLayer(index, name, part, number);
  if (kind === 'images' && name === undefined) return found('images', 'images', [['Images', to.images(index)]]);
  if (kind === 'images') return found('image', 'images', imageCrumbs(index, name), { image: name });
  if (kind === 'lookup') return found('lookup', 'lookup', [['Your image', to.lookup(index)]]);
  if (kind === 'classes' && name === undefined) return found('classes', 'classes', [['Classes', to.classes(index)]]);
  if (kind === 'classes') return found('class', 'classes', classCrumbs(index, name), { name });
  if (kind === 'mistakes') return found('mistakes', 'mistakes', [['Mistakes', to.mistakes(index)]]);
  if (kind === 'what-if') return found('what-if', 'what-if', [['What if', to.whatIf(index)]]);
  if (kind === 'importance') return found('importance', 'what-if', [['Importance', to.importance(index)]]);
  if (kind === 'concept') return found('concept', 'images', [['Images', to.images(index)], ['Which neurons?', to.concept(index)]]);
  if (kind === 'why') return found('why', 'mistakes', [['Mistakes', to.mistakes(index)], ['Why', to.why(index)]]);
  if (kind === 'report') return found('report', 'report', [['Report', to.report(index)]]);
  return null;
}

function inLayer(index, layer, part, number) {
  const crumb = [layer, to.layer(index, layer)];
  if (part === undefined) return found('layer', 'layers', [crumb], { layer });
  if (part === 'atlas' && number === undefined) return found('atlas', 'layers', [crumb, ['Atlas', to.atlas(index, layer)]], { layer });
  if (part === 'neuron-atlas' && number === undefined) {
    return found('neuron-atlas', 'layers', [crumb, ['Atlas of neurons', to.neuronAtlas(index, layer)]], { layer });
  }
  if (part !== 'neurons' || !/^\d+$/.test(number ?? '')) return null;
  return found('neuron', 'layers', [crumb, [number, to.neuron(index, layer, number)]], { layer, neuron: Number(number) });
}

const imageCrumbs = (index, image) => [['Images', to.images(index)], [`Image ${image}`, to.image(index, image)]];
const classCrumbs = (index, name) => [['Classes', to.classes(index)], [name, to.class(index, name)]];

const NoView = () => html`<${Empty} title="There is no such view">
  <p>The link is incomplete or mistyped. <a href=${to.home()}>All indexes</a></p></${Empty}>`;

const NOT_FETCHED = { title: 'A part of this page did not arrive', detail: 'The service may have been stopped. Try again in a moment.' };

export function App() {
  const route = useRoute();
  const shown = resolve(route.segments) ?? found(null, null, []);
  const index = OF_ALL.includes(route.segments[0]) && route.segments.length === 1 ? null : route.segments[0] ?? null;
  const crumbs = index ? [[index, to.index(index)], ...shown.crumbs] : shown.crumbs;
  const before = useRef(route.path);
  const parts = useRef(route.path);
  if (parts.current !== route.path) {
    parts.current = route.path;
    forgetCalls();
  }
  useLayoutEffect(() => {
    document.title = [...crumbs.map(([label]) => label).reverse(), 'unitscope'].join(' · ');
  });
  useEffect(() => {
    if (before.current === route.path) return;
    before.current = route.path;
    document.getElementById('main').focus({ preventScroll: true });
  }, [route.path]);
  const { data: View, error, retry } = useAnswer(shown.view && VIEWS[shown.view], [shown.view]);
  return html`<${Shell} index=${index} crumbs=${crumbs} place=${shown.place}>
    ${shown.view === null && html`<${NoView} />`}
    ${error && html`<${Failure} error=${NOT_FETCHED} retry=${retry} />`}
    ${shown.view && !error && !View && html`<${Loading} />`}
    ${View && html`<${View} key=${route.path} index=${index} query=${route.query} ...${shown.props} />`}
    ${index && html`<${DropAnywhere} index=${index} />`}
  </${Shell}>`;
}
