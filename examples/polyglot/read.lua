-- A page becomes words. What is not English is refused: it becomes a dead letter, whose consumer reports it, too.

local queue = require("queue")
local english = require("english")

local function handler(page)
    local words = english.words(page.text)
    if not english.is_english(words) then
        return nil, "this does not look like English"
    end
    assert(queue.publish("polyglot:words", {
        survey = page.survey,
        file = page.file,
        words = #words,
        counts = english.count(words),
    }))
end

return handler
