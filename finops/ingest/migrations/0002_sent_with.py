from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ingest', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='quarantinedrecord',
            name='sent_with',
            field=models.CharField(blank=True, default='', max_length=16),
            preserve_default=False,
        ),
    ]
