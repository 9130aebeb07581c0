/** Which neurons of a layer have a made image, asked for as their cards come near. */

import { useCallback, useRef, useState } from '../vendor/preact-htm.js';
import { getFresh, withQuery } from './api.js';
import { api } from './names.js';

const AT_ONCE = 50;

/** `{of, want, again, error}`: `of(neuron)` is its record, or undefined before it is known; `again()` asks anew for all. */
export function useMade(index, layer) {
  const [known, setKnown] = useState(new Map());
  const [error, setError] = useState(null);
  const asked = useRef(new Set());
  const ask = useCallback((neurons) => {
    for (let first = 0; first < neurons.length; first += AT_ONCE) {
      const some = neurons.slice(first, first + AT_ONCE);
      some.forEach((neuron) => asked.current.add(neuron));
      getFresh(withQuery(api.optimals(index, layer), { neurons: some.join(',') })).then(
        ({ items }) => setKnown((old) => new Map([...old, ...items.map((one) => [one.neuron, one])])),
        setError,
      );
    }
  }, [index, layer]);
  const want = useCallback((neurons) => ask(neurons.filter((neuron) => !asked.current.has(neuron))), [ask]);
  const again = useCallback(() => {
    setError(null);
    ask([...asked.current]);
  }, [ask]);
  return { of: (neuron) => known.get(neuron), want, again, error };
}
