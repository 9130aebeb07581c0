/** The points of an atlas: a numpy file -> arrays -> WebGL. */

const ROW_BYTES = 32; // see ROW in service/payloads/atlas.py
const [X, CLASS, NEURON] = [0, 2, 3]; // places of fields in a row, in words of 4 bytes
const WORDS = ROW_BYTES / 4;

const VERTEX = `
attribute vec2 place;
attribute vec3 colour;
uniform vec4 view;
uniform float size;
varying vec3 shown;
void main() {
  vec2 at = (place - view.xy) / (view.zw - view.xy) * 2.0 - 1.0;
  gl_Position = vec4(at.x, -at.y, 0, 1);
  gl_PointSize = size;
  shown = colour;
}`;
const FRAGMENT = `
precision mediump float;
varying vec3 shown;
void main() {
  vec2 from = gl_PointCoord - 0.5;
  if (dot(from, from) > 0.25) discard;
  gl_FragColor = vec4(shown, 1);
}`;

/** The rows of a file of `numpy.save`: `{count, floats, integers}`, views on the same bytes. */
export function parsePoints(buffer) {
  const header = 10 + new DataView(buffer).getUint16(8, true);
  const count = Math.floor((buffer.byteLength - header) / ROW_BYTES);
  return { count, floats: new Float32Array(buffer, header, count * WORDS), integers: new Int32Array(buffer, header, count * WORDS) };
}

export const classOf = ({ integers }, i) => integers[i * WORDS + CLASS];
export const neuronOf = ({ integers }, i) => integers[i * WORDS + NEURON];

export const placeOfPoint = ({ floats }, i) => [floats[i * WORDS + X], floats[i * WORDS + X + 1]];

/** The point nearest to a place, no farther than `reach`; null for none. */
export function nearestTo({ count, floats }, [x, y], reach) {
  let [nearest, least] = [null, reach ** 2];
  for (let i = 0; i < count; i += 1) {
    const far = (floats[i * WORDS + X] - x) ** 2 + (floats[i * WORDS + X + 1] - y) ** 2;
    if (far <= least) [nearest, least] = [i, far];
  }
  return nearest;
}

/** How many points have each code that `codeOf` gives, the most frequent first: [code, points]. */
export function counted(points, codeOf) {
  const counts = new Map();
  for (let i = 0; i < points.count; i += 1) {
    const code = codeOf(points, i);
    counts.set(code, (counts.get(code) ?? 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1]);
}

/** A byte each for red, green and blue of every point. */
export function colours(points, codeOf, colourOf) {
  const bytes = new Uint8Array(points.count * 3);
  for (let i = 0; i < points.count; i += 1) { // not bytes.set, which takes three times as long
    const colour = colourOf(codeOf(points, i));
    for (let part = 0; part < 3; part += 1) bytes[3 * i + part] = colour[part];
  }
  return bytes;
}

function shader(gl, kind, source) {
  const made = gl.createShader(kind);
  gl.shaderSource(made, source);
  gl.compileShader(made);
  if (!gl.getShaderParameter(made, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(made));
  return made;
}

/**
 * Draws points on a canvas: `{paint(colours), draw([left, top, right, bottom], size, most), free()}`; null without WebGL. `draw`
 * gives how many points it has drawn: the first `most`.
 */
export function drawer(canvas, points) {
  const gl = canvas.getContext('webgl', { antialias: false });
  if (!gl) return null;
  const program = gl.createProgram();
  gl.attachShader(program, shader(gl, gl.VERTEX_SHADER, VERTEX));
  gl.attachShader(program, shader(gl, gl.FRAGMENT_SHADER, FRAGMENT));
  gl.linkProgram(program);
  gl.useProgram(program);
  const [places, painted] = [gl.createBuffer(), gl.createBuffer()];
  const bind = (buffer, data, name, size, kind, normalised, stride) => {
    const where = gl.getAttribLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(where);
    gl.vertexAttribPointer(where, size, kind, normalised, stride, X);
  };
  bind(places, points.floats, 'place', 2, gl.FLOAT, false, ROW_BYTES);
  return {
    paint: (bytes) => bind(painted, bytes, 'colour', 3, gl.UNSIGNED_BYTE, true, 0),
    draw: (view, size, most) => {
      const shown = Math.min(most, points.count);
      gl.viewport(0, 0, canvas.width, canvas.height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
      gl.uniform4fv(gl.getUniformLocation(program, 'view'), view);
      gl.uniform1f(gl.getUniformLocation(program, 'size'), size);
      gl.drawArrays(gl.POINTS, 0, shown);
      return shown;
    },
    free: () => gl.getExtension('WEBGL_lose_context')?.loseContext(),
  };
}
