from __future__ import annotations

from django.urls import path

from routing.classify import api

urlpatterns = [
    path("task-types", api.TaskTypes.as_view()),
    path("task-types/train", api.TrainClassifier.as_view()),
    path("task-types/labels", api.Labels.as_view()),
    path("task-types/sampling", api.SamplingResource.as_view()),
    path("task-types/confusion", api.Confusion.as_view()),
    path("classify", api.Classify.as_view()),
]
