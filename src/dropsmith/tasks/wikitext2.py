"""WikiText-2, good articles of Wikipedia: 2,088,628 training tokens, 33,278 words."""

from dropsmith.tasks._budget import Budget
from dropsmith.tasks.language import LanguageSource, LanguageTask

WIKITEXT2 = LanguageTask(
    name="wikitext2",
    source=LanguageSource(
        name="wikitext2",
        about="WikiText-2, words (Merity et al., 2016)",
        folder="wikitext2",
        files=("wiki.{}.tokens", "{}.txt"),
        hub=("Salesforce/wikitext", "wikitext-2-v1", "text"),
    ),
    budget=Budget(epochs=20, batch_size=20, learning_rate=4e-3, weight_decay=0.01),
)
