"""conv2d_backward: `grad_weight` shows a NaN or infinity of a cell outside its window.

Law: a nan in the gradient reaches its channel only; one call of it. python reproduce.py [TARGET]
"""
import importlib, importlib.util, json, sys
from pathlib import Path
import numpy as np
import jax; jax.config.update('jax_enable_x64', True)
here = Path(__file__).parent
call, data = json.loads((here / "call.json").read_text()), np.load(here / "operands.npz")
target = sys.argv[1] if len(sys.argv) > 1 else None or call['target']
source, _, name = target.rpartition('=')[2].partition(':')
if source.endswith('.py'):
    spec = importlib.util.spec_from_file_location('subject', source)
    module = importlib.util.module_from_spec(spec)
    sys.path.append(str(Path(source).resolve().parent))
    spec.loader.exec_module(module)
elif target in (short := importlib.import_module('refconv.adapters').ADAPTERS):
    module = type('Short', (), {n: staticmethod(f) for n, f in short[target]().functions.items()})
else:
    module = importlib.import_module(source)
def called(kind, names, arguments):
    operands = [data[f'{kind}_{n}'] for n in names]
    operands = [np.flip(np.flip(a).copy()) for a in operands]
    kept = [np.array(a) for a in operands]
    operands = [jax.numpy.array(a) for a in operands]
    _, back = jax.vjp(lambda *leaves: getattr(module, name or 'conv2d')(*leaves, **arguments), *(*operands[1:], jax.numpy.zeros(len(operands[2]), dtype=operands[2].dtype)))
    results = [np.array(g) for g in back(operands[0])]
    for n, a, b in zip(names, kept, operands):
        if not np.array_equal(np.array(b.detach() if hasattr(b, 'detach') else b), a, equal_nan=True):
            print('changed:', n)
    return results
for name, got in zip(['grad_input', 'grad_weight', 'grad_bias'], called('operand', ['grad_output', 'input', 'weight'], {'stride': 3, 'padding': ((4, 6), (2, 3)), 'dilation': (3, 2), 'groups': 7})):
    print(name, 'got', got, sep='\n')
    if 'exact_' + name in data:
        exact, allowed = data['exact_' + name], data['allowed_' + name]
        print('exact', exact, 'allowed', allowed, sep='\n')
        if got.shape == exact.shape:
            print('outside:', int((np.abs(got - exact) > allowed).sum()), 'of', got.size)
