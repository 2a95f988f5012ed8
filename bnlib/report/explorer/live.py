"""The explorer as a widget: the page's own script, and a kernel behind it that computes accuracies anew on test images."""

import threading

import anywidget
import traitlets

from bnlib import experiments
from bnlib.report.explorer.page import script, style
from bnlib.words import Mendable

# How JupyterLab, and whatever else shows widgets, starts the same script as the page.
_RENDER = """
export default {
  async render({ model, el }) {
    const root = document.createElement("div");
    root.className = "gamma-explorer";
    el.append(root);
    const on = (name, call) => { model.on(`change:${name}`, call); };
    const set = (name, value) => { model.set(name, value); model.save_changes(); };
    await gammaExplorer(root, model.get("packed"), {
      read: () => model.get("view"),
      write: view => set("view", view),
      changed: call => on("view", call),
      ask: question => set("question", question),
      hear: call => on("answer", () => call(model.get("answer"))),
    });
    // Else JupyterLab takes the arrow keys for itself.
    for (const one of root.querySelectorAll("input, select, summary, [tabindex]")) one.dataset.lmSuppressShortcuts = "true";
  },
};
"""


class Live(anywidget.AnyWidget):
    """The γ explorer with a kernel behind it.

    packed: the content. view: what is shown, as in the address of a page. question: number; runs, a list of ids; threshold; images.
    answer: number, of its question; accuracies, by run: [β kept, β at 0 too, of so many images]; note, in words; done, a fraction.
    """

    _esm = script() + _RENDER
    _css = style()
    packed = traitlets.Unicode().tag(sync=True)
    view = traitlets.Unicode().tag(sync=True)
    question = traitlets.Dict().tag(sync=True)
    answer = traitlets.Dict().tag(sync=True)

    def __init__(self, **values):
        self._turn = threading.Lock()  # one computation at a time: a new question ends the one before at its next images
        super().__init__(**values)

    @traitlets.observe("question")
    def _asked(self, change):
        self._say(change.new, {}, [], 0)  # heard; the first numbers may take a while
        threading.Thread(target=self.compute, args=(change.new,), daemon=True).start()  # so that the kernel goes on listening

    def compute(self, question: dict) -> None:
        """Answer `question`, over and over as images are through, until a newer one is asked."""
        with self._turn:
            runs, found, notes = question["runs"], {}, []
            for place, run in enumerate(runs):
                try:
                    for seen, kept, nothing in experiments.clamped(run, question["threshold"], question["images"]):
                        if self.question != question:
                            return
                        found = {**found, run: [kept, nothing, seen]}
                        self._say(question, found, notes, (place + seen / question["images"]) / len(runs))
                except Mendable as error:
                    notes.append(f"{error}. The stored curve is shown.")
                except Exception as error:  # of a thread nobody else would hear
                    notes.append(f"{type(error).__name__}: {error}. The stored curve is shown.")
            self._say(question, found, notes, 1)

    def _say(self, question, found, notes, done):
        if self.question == question:
            self.answer = {
                "number": question["number"],
                "accuracies": found,
                "note": " ".join(dict.fromkeys(notes)),
                "done": float(done),
            }
