(function () {
  'use strict';
  var all = function (what) { return Array.prototype.slice.call(document.querySelectorAll(what)); };
  var folds = all('details');
  var unfold = function (open) { folds.forEach(function (fold) { fold.open = open; }); };

  var button = document.getElementById('fold');
  if (folds.length) {
    var name = function () {
      var open = folds.some(function (fold) { return fold.open; });
      button.textContent = open ? 'Fold all' : 'Unfold all';
      return open;
    };
    button.hidden = false;
    button.addEventListener('click', function () { unfold(!name()); name(); });
    folds.forEach(function (fold) { fold.addEventListener('toggle', name); });
    name();
  }

  // What is folded away on the screen is on paper nevertheless.
  var before = [];
  window.addEventListener('beforeprint', function () {
    before = folds.map(function (fold) { return fold.open; });
    unfold(true);
  });
  window.addEventListener('afterprint', function () {
    folds.forEach(function (fold, at) { fold.open = before[at]; });
  });

  var form = document.getElementById('filters');
  if (form) {
    var items = all('article[data-step]');
    var groups = all('.group');
    var count = form.querySelector('.count');
    var words = [];
    var ticked = function (name) {
      var boxes = Array.prototype.slice.call(form.querySelectorAll('input[name="' + name + '"]'));
      return boxes.length && boxes.some(function (box) { return !box.checked; })
        ? boxes.filter(function (box) { return box.checked; }).map(function (box) { return box.value; })
        : null;
    };
    var filter = function () {
      var severities = ticked('severity');
      var outcomes = ticked('outcome');
      var step = form.elements.step ? form.elements.step.value : '';
      var text = form.elements.text.value.trim().toLowerCase();
      var active = Boolean(severities || outcomes || step || text);
      var shown = 0;
      items.forEach(function (item, at) {
        var data = item.dataset;
        var fits = (!severities || severities.indexOf(data.severity) >= 0)
          && (!outcomes || outcomes.indexOf(data.outcome) >= 0)
          && (!step || data.step === step);
        if (fits && text) {
          words[at] = words[at] || item.textContent.toLowerCase();
          fits = words[at].indexOf(text) >= 0;
        }
        item.hidden = !fits;
        if (!fits) { return; }
        shown += 1;
        var fold = active && item.closest('details');
        if (fold) { fold.open = true; }
      });
      groups.forEach(function (group) {
        group.hidden = active && !group.querySelector('article:not([hidden])');
      });
      count.textContent = shown + ' of ' + items.length + (items.length === 1 ? ' finding' : ' findings');
    };
    form.hidden = false;
    form.addEventListener('input', filter);
    form.addEventListener('submit', function (event) { event.preventDefault(); });
    // The boxes are ticked again only after this event.
    form.addEventListener('reset', function () { setTimeout(filter, 0); });
    // A browser may remember what was chosen before the page was loaded again.
    filter();
  }

  var copy = document.getElementById('copy');
  var call = document.getElementById('call');
  if (copy && call && navigator.clipboard) {
    copy.hidden = false;
    copy.addEventListener('click', function () {
      navigator.clipboard.writeText(call.textContent).then(function () {
        copy.textContent = 'Copied';
      }, function () {
        getSelection().selectAllChildren(call);
      });
    });
  }
}());
